//! A private PostgreSQL server: a temporary folder, a socket in it and no port, stopped with its value.
//!
//! PostgreSQL refuses to run as root; then it runs as `nobody`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tempfile::TempDir;

use super::{Error, io_error};

/// The superuser of the cluster.
const USER: &str = "claimlab";
/// Where Debian keeps a folder for each version.
const DEBIANS: &str = "/usr/lib/postgresql";
/// How often, ten milliseconds apart, the socket is looked for.
const TRIES: u32 = 3_000;
/// Nothing here outlives the process, so nothing needs to reach a disk; the schema has thousands of
/// tables, which one migration locks at once.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=20",
    "max_locks_per_transaction=2048",
];

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: TempDir,
    account: Option<Account>,
    pg_ctl: PathBuf,
}

/// Whom the server runs as.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl Server {
    /// Makes a cluster and starts its server.
    ///
    /// # Errors
    /// When PostgreSQL is missing, or does not come up.
    pub fn start() -> Result<Self, Error> {
        let path = env::var_os("PATH").unwrap_or_default();
        let program = |name| program(name, &path, Path::new(DEBIANS));
        let (initdb, postgres, pg_ctl) = (program("initdb")?, program("postgres")?, program("pg_ctl")?);
        let account = account()?;
        let folder = TempDir::new().map_err(io_error("making the server's folder"))?;
        if let Some(Account { user, group }) = account {
            chown(folder.path(), Some(user), Some(group)).map_err(io_error("giving the server its folder"))?;
        }
        let made = command(&initdb, account, folder.path())
            .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .output()
            .map_err(io_error("starting initdb"))?;
        if !made.status.success() {
            return Err(Error::Server { what: "initdb", said: last_line(&made.stderr) });
        }
        let log = fs::File::create(folder.path().join("log")).map_err(io_error("making the server's log"))?;
        let mut start = command(&postgres, account, folder.path());
        for setting in SETTINGS {
            start.args(["-c", setting]);
        }
        let socket = format!("unix_socket_directories={}", folder.path().display());
        let child = start.args(["-c", &socket]).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.map_err(io_error("starting postgres"))?;
        let mut server = Self { child, folder, account, pg_ctl };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// How to connect to it.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.folder.path())
            .port(5432)
            .username(USER)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Error> {
        for _ in 0..TRIES {
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
                return Err(Error::Server { what: "postgres ended", said: format!("{status}; {}", last_line(&log)) });
            }
            // Its last line says that connections are accepted; the socket alone is there before that.
            let status = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap_or_default();
            if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(Error::Server { what: "postgres", said: "not ready within thirty seconds".into() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its own way out takes its children and shared memory along; killing it would leave them.
        let stopped = command(&self.pg_ctl, self.account, self.folder.path())
            .args(["stop", "--mode", "immediate", "--silent"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A program of PostgreSQL's on the cluster below a folder, as its account.
fn command(program: &Path, account: Option<Account>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("PGDATA", folder.join("data")).env("LC_ALL", "C").stdin(Stdio::null());
    // Whoever runs this may have a server of their own in mind; these programs must not see it.
    // Nor does it live by the clock of whoever starts it.
    for variable in ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS", "LD_PRELOAD"] {
        command.env_remove(variable);
    }
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    command
}

/// Where a program is: in the path, or where Debian keeps those of the newest version.
fn program(name: &'static str, path: &OsStr, versions: &Path) -> Result<PathBuf, Error> {
    let in_path = env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file());
    let newest = || {
        let folders = fs::read_dir(versions).ok()?;
        let number = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
        let newest = folders.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(number)?;
        Some(newest.join("bin").join(name)).filter(|file| file.is_file())
    };
    in_path.or_else(newest).ok_or(Error::NoPostgres { program: name })
}

/// Nobody, where this process is root; else whoever it is.
fn account() -> Result<Option<Account>, Error> {
    let own = fs::metadata("/proc/self").map_err(io_error("finding who runs this"))?.uid();
    if own != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(io_error("reading /etc/passwd"))?;
    let nobody = users.lines().find_map(|line| {
        let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
        Some(Account { user: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
    });
    nobody.map(Some).ok_or(Error::Nobody)
}

fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(files: &[&str]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for file in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        folder
    }

    #[test]
    fn a_program_in_the_path_goes_before_the_newest_version() {
        let (path, versions) = (with(&["initdb"]), with(&["9/bin/initdb", "15/bin/initdb", "15/bin/postgres"]));
        let found = |name| program(name, path.path().as_os_str(), versions.path()).unwrap();
        assert_eq!(found("initdb"), path.path().join("initdb"));
        assert_eq!(found("postgres"), versions.path().join("15/bin/postgres"));
    }

    #[test]
    fn a_missing_server_is_named_with_the_line_that_installs_it() {
        let nothing = with(&[]);
        let error = program("postgres", nothing.path().as_os_str(), nothing.path()).unwrap_err().to_string();
        assert!(error.contains("tests/install-postgres") && error.contains("CLAIMLAB_SKIP=postgres"), "{error}");
    }
}
