//! The page's size budget: what a browser loads, as it comes over the wire.

use super::compress::Size;
use anyhow::{Result, ensure};

/// 500 KB with brotli, fonts included.
const BUDGET: usize = 500_000;

/// Prints what each file weighs.
pub(crate) fn report(sizes: &[Size]) {
    println!("  {:>9} {:>9} {:>9}  file (bytes)", "raw", "gzip", "brotli");
    for Size { name, raw, gzip, brotli } in sizes {
        println!("  {raw:>9} {gzip:>9} {brotli:>9}  {}", name.display());
    }
    println!("  the page loads {} of {BUDGET} bytes", loaded(sizes));
}

/// Fails when the page loads more than its budget.
pub(crate) fn hold(sizes: &[Size]) -> Result<()> {
    let loaded = loaded(sizes);
    ensure!(loaded <= BUDGET, "the page loads {loaded} bytes, its budget is {BUDGET}");
    Ok(())
}

/// All files but the licenses, which lie beside what they are about and are not loaded.
fn loaded(sizes: &[Size]) -> usize {
    sizes.iter().filter(|size| size.name.extension().is_none_or(|it| it != "txt")).map(|size| size.brotli).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(name: &str, brotli: usize) -> Size {
        Size { name: name.into(), raw: 3 * brotli, gzip: 2 * brotli, brotli }
    }

    #[test]
    fn page_of_exactly_the_budget_passes_and_one_byte_more_fails() {
        hold(&[size("a.wasm", BUDGET - 10), size("a.js", 10)]).unwrap();
        assert!(hold(&[size("a.wasm", BUDGET - 10), size("a.js", 11)]).is_err());
    }

    #[test]
    fn license_text_is_not_what_the_page_loads() {
        hold(&[size("a.wasm", BUDGET), size("fonts/LICENSE.txt", 4000)]).unwrap();
    }
}
