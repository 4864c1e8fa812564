//! `captcha`: what was solved for the calls to Foxy (Foxy docs: rels/create_user).

use foxden_custody::CaptchaCodes;

use super::{
    fields::Fields,
    limits::CAPTCHA_CODE_MAX,
    mistakes::Mistakes,
    node::Node,
    rule::{Form, Text},
};

pub(super) const USER_CODE: Text = Text::optional("user_code", CAPTCHA_CODE_MAX, Form::Code);
pub(super) const STORE_CODE: Text = Text::optional("store_code", CAPTCHA_CODE_MAX, Form::Code);

/// The codes. None, where there are mistakes.
pub(super) fn captcha(node: Option<Node>, mistakes: &mut Mistakes) -> CaptchaCodes {
    let Some(node) = node else { return CaptchaCodes::default() };
    let Some(mut fields) = Fields::open("captcha", Some(node), mistakes) else { return CaptchaCodes::default() };
    let user = fields.text(&USER_CODE, mistakes);
    let store = fields.text(&STORE_CODE, mistakes);
    fields.finish(mistakes);
    CaptchaCodes { user, store }
}
