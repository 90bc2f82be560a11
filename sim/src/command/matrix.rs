//! `claimlab conform --backend`: what a backend answers in each of a fixed list of situations.

use clap::{Args, ValueEnum};

use super::Format;

/// A shipped backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Backend {
    /// On a private valkey-server: every answer must be the model's
    Valkey,
    /// In memory
    Sqlite,
    /// On a private PostgreSQL server
    Postgres,
}

#[derive(Debug, Args)]
pub(super) struct MatrixArguments {
    /// Ask this backend in every situation of the matrix and lay its answers beside Valkey's
    #[arg(long, value_name = "BACKEND", conflicts_with_all = [
        "calls", "seed", "steps", "deviation", "coverage", "scanners", "concurrent",
    ])]
    pub(super) backend: Option<Backend>,
    /// Only this operation's situations
    #[arg(long, value_name = "OPERATION", requires = "backend")]
    only: Option<String>,
    /// How the matrix is printed
    #[arg(long, default_value = "text", value_name = "FORMAT", requires = "backend")]
    format: Format,
}

#[cfg(feature = "live")]
pub(super) use live::matrix;

#[cfg(feature = "live")]
mod live {
    use claimlab_valkey::Server;
    use indicatif::ProgressBar;

    use super::super::{CommandError, Format, left_out, print, under_own_clock};
    use super::{Backend, MatrixArguments};
    use crate::live::sequence::START_MS;
    use crate::live::twin;
    use crate::matrix::situations::families;
    use crate::matrix::subject::{Error, Subject};
    use crate::matrix::valkey::Valkey;
    use crate::matrix::{Row, Verdict, report, run};

    pub(in super::super) fn matrix(
        arguments: &MatrixArguments,
        backend: Backend,
        server: &str,
    ) -> Result<u8, CommandError> {
        let name = name(backend);
        if let Some(only) = &arguments.only
            && !families().any(|family| family.operation == only)
        {
            let operations: Vec<&str> = families().map(|family| family.operation).collect();
            return Err(CommandError::Flag { flag: "--only", found: only.clone(), accepted: operations.join(", ") });
        }
        if let Some(code) = left_out(name)? {
            return Ok(code);
        }
        let rows = match backend {
            Backend::Valkey => {
                if let Some(code) = under_own_clock()? {
                    return Ok(code);
                }
                let server = Server::named(server, START_MS).map_err(twin::Error::from)?;
                rows(&mut Valkey::start(server)?, arguments)?
            }
            #[cfg(feature = "databases")]
            Backend::Sqlite => match super::super::in_dev_mode()? {
                Some(code) => return Ok(code),
                None => rows(&mut databases::sqlite()?, arguments)?,
            },
            #[cfg(feature = "databases")]
            Backend::Postgres => rows(&mut databases::postgres()?, arguments)?,
            #[cfg(not(feature = "databases"))]
            Backend::Sqlite | Backend::Postgres => return Err(CommandError::NoDatabases { backend: name }),
        };
        print(&match arguments.format {
            Format::Text => report::text(name, &rows),
            Format::Json => report::json(name, &rows).map_err(|error| CommandError::Output(error.into()))?,
        })?;
        // Other backends are described; of Valkey the model promises every answer.
        let is_broken = |row: &Row| row.verdict != Verdict::Same;
        Ok(u8::from(backend == Backend::Valkey && rows.iter().any(is_broken)))
    }

    const fn name(backend: Backend) -> &'static str {
        match backend {
            Backend::Valkey => "valkey",
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
        }
    }

    fn rows(subject: &mut dyn Subject, arguments: &MatrixArguments) -> Result<Vec<Row>, Error> {
        let only = arguments.only.as_deref();
        let all: usize = families()
            .filter(|family| only.is_none_or(|only| only == family.operation))
            .map(|family| family.situations.len())
            .sum();
        let bar = ProgressBar::new(all as u64);
        let rows = run(subject, only, |done| bar.set_position(done as u64));
        bar.finish_and_clear();
        rows
    }

    #[cfg(feature = "databases")]
    mod databases {
        use super::Error;
        use crate::matrix::databases::postgres::Postgres;
        use crate::matrix::databases::sqlite::Sqlite;

        pub(super) fn sqlite() -> Result<Sqlite, Error> {
            Ok(Sqlite::start()?)
        }

        pub(super) fn postgres() -> Result<Postgres, Error> {
            Ok(Postgres::start()?)
        }
    }
}
