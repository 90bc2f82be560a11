//! The command as its user runs it: what it refuses, what it leaves alone, what it finds.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use claimlab_benches::results::SCHEMA;
use claimlab_benches::target::VARIABLE;
use claimlab_valkey::{Plain, connect};
use nix::unistd::Pid;

fn run(arguments: &str, url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_claimlab-benches"))
        .args(arguments.split_whitespace())
        .env(VARIABLE, url)
        .output()
        .expect("the command starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn assert_refused(output: &Output, why: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(why.iter().all(|why| said.contains(why)), "{said}");
}

fn server(settings: &[&str]) -> (Plain, redis::Connection) {
    let server = Plain::start(settings).expect("valkey-server starts (tests/install-valkey)");
    let connection = connect(server.address()).expect("it answers");
    (server, connection)
}

fn url(server: &Plain) -> String {
    server.address().to_string()
}

const ONE_TURN: &str = "slice --operations renew --count 10";

#[test]
fn what_is_no_address_is_refused_with_what_is_accepted() {
    assert_refused(&run(ONE_TURN, "localhost:6379"), &["localhost:6379", "valkey://HOST:PORT?cluster"]);
}

#[test]
fn where_nothing_answers_nothing_is_measured() {
    assert_refused(&run(ONE_TURN, "valkey://127.0.0.1:1"), &["no answer", "127.0.0.1:1"]);
}

#[test]
fn what_is_not_valkey_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    // Says what an older relative says, to however many commands come.
    #[allow(clippy::disallowed_methods)]
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4_096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                let asked = String::from_utf8_lossy(&buffer[..read]).to_uppercase();
                let info = "redis_version:6.2.0\r\n";
                let oks = "+OK\r\n".repeat(asked.matches("CLIENT").count());
                let answer =
                    if asked.contains("INFO\r\n") { format!("${}\r\n{info}\r\n", info.len()) } else { String::new() };
                if stream.write_all((oks + &answer).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    assert_refused(&run(ONE_TURN, &format!("valkey://{address}")), &["no Valkey", "6.2.0"]);
}

#[test]
fn a_server_that_holds_other_data_is_left_as_it_is_without_flush() {
    let (server, mut connection) = server(&[]);
    let _: () = redis::cmd("SET").arg("theirs").arg("1").query(&mut connection).expect("it answers");
    assert_refused(&run(ONE_TURN, &url(&server)), &["holds 1 keys", "--flush"]);
    let kept: Option<String> = redis::cmd("GET").arg("theirs").query(&mut connection).expect("it answers");
    assert_eq!(kept.as_deref(), Some("1"));
    let flushed = run(&format!("{ONE_TURN} --flush"), &url(&server));
    assert_eq!(flushed.status.code(), Some(0), "{}", said(&flushed));
    let left: u64 = redis::cmd("DBSIZE").query(&mut connection).expect("it answers");
    assert_eq!(left, 0, "it is left empty");
}

#[test]
fn other_data_in_any_database_and_a_library_of_functions_are_other_data() {
    let (server, mut connection) = server(&[]);
    redis::cmd("SELECT").arg(9).exec(&mut connection).expect("it answers");
    redis::cmd("SET").arg("theirs").arg("1").exec(&mut connection).expect("it answers");
    assert_refused(&run(ONE_TURN, &url(&server)), &["holds 1 keys and 0 function libraries"]);
    redis::cmd("FLUSHALL").exec(&mut connection).expect("it answers");
    let library = "#!lua name=theirs\nserver.register_function('f', function() return 1 end)";
    redis::cmd("FUNCTION").arg("LOAD").arg(library).exec(&mut connection).expect("it answers");
    assert_refused(&run(ONE_TURN, &url(&server)), &["holds 0 keys and 1 function libraries"]);
    assert_refused(&run("rounds client 1", &url(&server)), &["holds 0 keys and 1 function libraries"]);
}

#[test]
fn a_cluster_is_measured_where_the_address_says_so() {
    let (server, mut connection) = server(&["--cluster-enabled", "yes"]);
    let slots = redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).exec(&mut connection);
    slots.expect("one server can have all slots");
    let state = || -> String {
        redis::cmd("CLUSTER")
            .arg("INFO")
            .query(&mut connect(server.address()).expect("it answers"))
            .expect("it answers")
    };
    while !state().contains("cluster_state:ok") {
        std::thread::sleep(Duration::from_millis(20));
    }
    let turn = run(ONE_TURN, &format!("{}?cluster", url(&server)));
    assert_eq!(turn.status.code(), Some(0), "{}", said(&turn));
    let slice: serde_json::Value = serde_json::from_slice(&turn.stdout).expect("a turn is JSON");
    assert_eq!(slice["operations"]["renew"]["commands"], 7.0, "{slice}");
}

#[test]
fn results_of_another_schema_make_no_page() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("old.json"), "{\"schema\": \"claimlab-benches/0\"}").expect("it is written");
    let page = folder.path().join("report.html");
    let output = run(&format!("report {} --out {}", folder.path().display(), page.display()), "");
    assert_refused(&output, &["old.json", "claimlab-benches/0", SCHEMA]);
    assert!(!page.exists());
}

#[test]
fn a_load_without_arrivals_and_a_rate_given_twice_are_refused() {
    assert_refused(&run("load --rate 1 --for 500ms", ""), &["--for", "0 arrivals", "accepted is 1 to"]);
    assert_refused(&run("load --sweep 100,200,100", ""), &["--sweep", "100 twice"]);
    assert_refused(&run("load --for 2days", ""), &["2days", "up to a day"]);
}

#[test]
fn too_few_pairs_to_decide_are_refused_before_anything_runs() {
    assert_refused(&run("compare . . --pairs 3", ""), &["--pairs", "3", "12"]);
}

#[test]
fn what_is_no_revision_is_refused() {
    assert_refused(&run("compare no-such-revision .", ""), &["no-such-revision", "a revision of git's"]);
}

#[test]
fn an_operation_that_takes_three_times_as_long_is_a_regression() {
    let common = "--operations renew --count 60 --allowed 5m";
    let output = run(&format!("compare . . {common} --plant renew=2000000"), "");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("REGRESSED"), "{}", said(&output));
}

#[test]
fn everything_that_is_due_is_created_and_completed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().display();
    let output = run(&format!("load --rate 50 --for 2s --workers 4 --drain 60s --format json --out {kept}"), "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).expect("results are JSON");
    let load = &results["loads"][0];
    assert_eq!((&load["due"], &load["created"], &load["completed"]), (&100.into(), &100.into(), &100.into()));
    let tasks: u64 = load["tasks_of_workers"].as_array().expect("a list").iter().filter_map(|one| one.as_u64()).sum();
    assert_eq!(tasks, 100);
    assert!(has_file(folder.path(), "hlog") && has_file(folder.path(), "json"));
    let page = folder.path().join("report.html");
    let report = run(&format!("report {kept} --out {}", page.display()), "");
    assert_eq!(report.status.code(), Some(0), "{}", said(&report));
    let page = std::fs::read_to_string(page).expect("the page is there");
    assert!(page.contains("Latency over time") && page.contains("<svg"), "it has its plots");
    assert!(!page.contains("src=") && !page.contains("href="), "it needs nothing beside it");
}

#[test]
fn who_is_interrupted_leaves_the_server_empty() {
    use nix::sys::signal::{Signal, kill};

    let (server, mut connection) = server(&[]);
    let mut keys = || -> u64 { redis::cmd("DBSIZE").query(&mut connection).expect("it answers") };
    let mut child = Command::new(env!("CARGO_BIN_EXE_claimlab-benches"))
        .args(["load", "--rate", "50", "--for", "10m", "--workers", "2"])
        .env(VARIABLE, url(&server))
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    while keys() == 0 {
        assert_eq!(child.try_wait().expect("it is ours"), None);
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it runs");
    assert_eq!(child.wait().expect("it is ours").code(), Some(130));
    assert_eq!(keys(), 0);
}

fn has_file(folder: &Path, extension: &str) -> bool {
    let mut files = folder.read_dir().expect("the folder is there").flatten();
    files.any(|file| file.path().extension().is_some_and(|found| found == extension))
}
