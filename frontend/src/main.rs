//! Starts the page; everything else is in the library.

fn main() {
    frontend::app::start();
}
