//! Compiles the two requests to valgrind, which are macros of its C header (Debian: package `valgrind`).

fn main() {
    println!("cargo::rerun-if-changed=src/mark.c");
    cc::Build::new().file("src/mark.c").opt_level(2).compile("mark");
}
