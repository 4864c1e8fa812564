//! A typed client of the Foxy Hypermedia API, with call outcomes by what may have happened.
