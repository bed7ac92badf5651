//! Lets binaries and tests find libtorch: in ../lib when shipped, where it was unpacked when built here.

#[allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let unpacked = std::env::var("LIBTORCH").map(|root| format!("{root}/lib"));
    for path in std::iter::once("$ORIGIN/../lib".to_owned()).chain(unpacked) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{path}");
    }
}
