//! Writes the console's files, each with `.br` and `.gz` beside it (fonts are compressed already), so that the
//! server never compresses the console.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::assets::File;

pub fn write(folder: &Path, files: &[File]) -> Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
        }
        put(&path, &file.content)?;
        if file.extension() == "woff2" {
            continue;
        }
        put(&suffixed(&path, "br"), &brotli(&file.content)?)?;
        put(&suffixed(&path, "gz"), &gzip(&file.content)?)?;
    }
    Ok(())
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("could not write {}", path.display()))
}

/// `app.js` → `app.js.br`.
fn suffixed(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn brotli(content: &[u8]) -> Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        size_hint: content.len(),
        ..brotli::enc::BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters).context("brotli failed")?;
    Ok(compressed)
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).context("gzip failed")?;
    encoder.finish().context("gzip failed")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{brotli, gzip};

    #[test]
    fn both_encodings_give_the_content_back() {
        let content = "sluice ".repeat(1000);
        let mut text = String::new();
        flate2::read::GzDecoder::new(gzip(content.as_bytes()).unwrap().as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, content);
        let compressed = brotli(content.as_bytes()).unwrap();
        assert!(compressed.len() < 100);
        let mut text = String::new();
        brotli::Decompressor::new(compressed.as_slice(), 4096).read_to_string(&mut text).unwrap();
        assert_eq!(text, content);
    }
}
