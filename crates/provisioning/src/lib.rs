//! The saga: from one signup to a Foxy user, a Foxy store and a sealed token.
