//! Twins of the page's files for the wire: `x.br` and `x.gz` beside each `x`, made once and as small as they get.

use super::bundle::files_below;
use anyhow::Result;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What one file weighs, in bytes.
pub(crate) struct Size {
    /// Path below the page's folder.
    pub(crate) name: PathBuf,
    pub(crate) raw: usize,
    /// As a browser gets it that takes gzip, and one that takes brotli.
    pub(crate) gzip: usize,
    pub(crate) brotli: usize,
}

/// Writes the twins and answers the sizes. What is compressed by its format gets none.
pub(crate) fn add_twins(folder: &Path) -> Result<Vec<Size>> {
    let mut sizes = vec![];
    for file in files_below(folder)? {
        let data = fs::read(&file)?;
        let name = file.strip_prefix(folder)?.to_path_buf();
        if file.extension().is_some_and(|it| it == "woff2" || it == "png") {
            sizes.push(Size { name, raw: data.len(), gzip: data.len(), brotli: data.len() });
            continue;
        }
        let (gzip, brotli) = (gzip(&data)?, brotli(&data)?);
        fs::write(twin(&file, ".gz"), &gzip)?;
        fs::write(twin(&file, ".br"), &brotli)?;
        sizes.push(Size { name, raw: data.len(), gzip: gzip.len(), brotli: brotli.len() });
    }
    Ok(sizes)
}

fn twin(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    name.into()
}

fn gzip(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}

fn brotli(mut data: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = vec![];
    // Quality 11 and a window of 4 MiB: the best there is, as it is made once and read often.
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut data, &mut compressed, &parameters)?;
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn twins_unpack_to_the_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        let text = "the page ".repeat(1000);
        fs::write(folder.path().join("x.js"), &text).unwrap();
        let sizes = add_twins(folder.path()).unwrap();
        let mut gzip = String::new();
        let packed = fs::File::open(folder.path().join("x.js.gz")).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut gzip).unwrap();
        let mut brotli = String::new();
        let packed = fs::File::open(folder.path().join("x.js.br")).unwrap();
        brotli::Decompressor::new(packed, 4096).read_to_string(&mut brotli).unwrap();
        assert_eq!((gzip.as_str(), brotli.as_str()), (text.as_str(), text.as_str()));
        assert_eq!(sizes.len(), 1);
        assert!(sizes[0].brotli < sizes[0].raw / 10);
    }
}
