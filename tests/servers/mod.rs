//! The main job as it is run in earnest: a published event, a real RabbitMQ, a real PostgreSQL. Needs the servers that
//! `DATABASE_URL` and `AMQP_URL` name; `make test` brings them up.

mod broker_life;
mod broker_refuses;
mod broker_tls;
mod chaos;
mod contract_examples;
mod database;
mod dead_letters;
mod dice;
mod disk_full;
mod evidence;
mod frames;
mod hostile;
mod keys;
mod ledger_afar;
mod ledger_away;
mod ledger_read_only;
mod ledger_silent;
mod main_job;
mod outages;
mod own_servers;
mod parent_app;
mod pooler;
mod publishers;
mod raw_amqp;
mod relay;
mod restarts;
mod secrets;
mod silence;
mod small_disk;
mod submit;
mod telling;
mod upgrade;
