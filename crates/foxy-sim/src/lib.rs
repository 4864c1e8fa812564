//! A faithful simulator of the Foxy Hypermedia API: library, and program for demos.
