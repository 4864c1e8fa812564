//! Lists of things that people name by an id.

/// Declares such a list once: names for the code, ids for people, settings and scripts, and what each means in one
/// line.
macro_rules! listed {
    ($(#[$about:meta])* $list:ident { $($name:ident = $id:literal: $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $list {
            $(#[doc = $text] $name,)*
        }

        impl $list {
            /// All of them, in their order.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the settings, in the documentation and in JSON.
            pub(crate) fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// What it means, in one line, as the documentation has it.
            pub(crate) fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

pub(crate) use listed;
