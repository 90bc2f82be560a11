//! Compiles the clock that `valkey-server` is started with into a shared object, which the library
//! carries as bytes: whoever has the program has the clock.

fn main() {
    println!("cargo:rerun-if-changed=src/clock.c");
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let compiler = cc::Build::new().pic(true).opt_level(2).warnings(true).get_compiler();
    let mut command = compiler.to_command();
    command.args(["-shared", "-pthread", "-o"]).arg(out.join("clock.so")).arg("src/clock.c");
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
