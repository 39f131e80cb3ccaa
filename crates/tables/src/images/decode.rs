//! One image, decoded within limits and scaled to a small square.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::limits::IMAGE_PIXEL_COUNT_MAX;

/// One image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its own width in pixels.
    pub width: u32,
    /// Its own height in pixels.
    pub height: u32,
    /// The square of pixels, row by row, channels together, from 0 to 1. Empty if it was not asked for.
    pub pixels: Vec<f32>,
}

/// Pixels as they are in the file.
struct Raster {
    width: usize,
    height: usize,
    channels: usize,
    bytes: Vec<u8>,
}

/// Decodes a PNG or JPEG image, and scales it to a square of `side` pixels if `wants_pixels`.
///
/// # Errors
/// What is wrong with it, or over a limit.
pub fn decode(bytes: &[u8], side: u32, colour: bool, wants_pixels: bool) -> Result<Image, String> {
    if bytes.starts_with(b"\x89PNG") { png(bytes, side, colour, wants_pixels) } else { jpeg(bytes, side, colour, wants_pixels) }
}

fn check_size(width: u32, height: u32) -> Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > IMAGE_PIXEL_COUNT_MAX {
        return Err(format!("{width} × {height} pixels, at most {IMAGE_PIXEL_COUNT_MAX} in all"));
    }
    Ok(())
}

fn png(bytes: &[u8], side: u32, colour: bool, wants_pixels: bool) -> Result<Image, String> {
    let limit = usize::try_from(IMAGE_PIXEL_COUNT_MAX * 4).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: limit });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(|error| format!("not a whole PNG: {error}"))?;
    let (width, height) = (reader.info().width, reader.info().height);
    check_size(width, height)?;
    if !wants_pixels {
        return Ok(Image { width, height, pixels: Vec::new() });
    }
    let size = reader.output_buffer_size().ok_or("more pixels than memory")?;
    let mut raster = vec![0_u8; size];
    reader.next_frame(&mut raster).map_err(|error| format!("not a whole PNG: {error}"))?;
    let channels = reader.output_color_type().0.samples();
    scaled(&Raster { width: width as usize, height: height as usize, channels, bytes: raster }, side, colour)
}

fn jpeg(bytes: &[u8], side: u32, colour: bool, wants_pixels: bool) -> Result<Image, String> {
    let options = DecoderOptions::new_safe().set_max_width(65_535).set_max_height(65_535).jpeg_set_out_colorspace(if colour {
        ColorSpace::RGB
    } else {
        ColorSpace::Luma
    });
    let mut decoder = JpegDecoder::new_with_options(zune_jpeg::zune_core::bytestream::ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| format!("not a whole JPEG: {error:?}"))?;
    let info = decoder.info().ok_or("a JPEG without a size")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_size(width, height)?;
    if !wants_pixels {
        return Ok(Image { width, height, pixels: Vec::new() });
    }
    let raster = decoder.decode().map_err(|error| format!("not a whole JPEG: {error:?}"))?;
    let channels = raster.len() / (width as usize * height as usize);
    scaled(&Raster { width: width as usize, height: height as usize, channels, bytes: raster }, side, colour)
}

/// Each pixel of the square is the mean of the area that it covers.
fn scaled(raster: &Raster, side: u32, colour: bool) -> Result<Image, String> {
    let side = side as usize;
    let wanted = if colour { 3 } else { 1 };
    if !(1..=4).contains(&raster.channels) || raster.bytes.len() < raster.width * raster.height * raster.channels {
        return Err("fewer pixels than its size".to_owned());
    }
    let mut pixels = Vec::with_capacity(side * side * wanted);
    for row in 0..side {
        let (top, bottom) = span(row, side, raster.height);
        for column in 0..side {
            let (left, right) = span(column, side, raster.width);
            let mut sums = [0_u64; 3];
            for y in top..bottom {
                let from = (y * raster.width + left) * raster.channels;
                let to = (y * raster.width + right) * raster.channels;
                for pixel in raster.bytes.get(from..to).unwrap_or_default().chunks_exact(raster.channels) {
                    for (sum, part) in sums.iter_mut().zip(rgb(pixel)) {
                        *sum += u64::from(part);
                    }
                }
            }
            let count = ((bottom - top) * (right - left)) as f32;
            let [red, green, blue] = sums.map(|sum| sum as f32 / count / 255.0);
            if colour {
                pixels.extend([red, green, blue]);
            } else {
                // ITU-R BT.601 luma.
                pixels.push(0.299 * red + 0.587 * green + 0.114 * blue);
            }
        }
    }
    let small = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    Ok(Image { width: small(raster.width), height: small(raster.height), pixels })
}

/// The part of `full` pixels that pixel `index` of `side` covers: one at least.
fn span(index: usize, side: usize, full: usize) -> (usize, usize) {
    let from = index * full / side;
    (from, ((index + 1) * full / side).max(from + 1).min(full))
}

/// Red, green and blue of a pixel with or without colour and transparency.
fn rgb(pixel: &[u8]) -> [u8; 3] {
    match pixel {
        [grey] | [grey, _] => [*grey; 3],
        [red, green, blue, ..] => [*red, *green, *blue],
        [] => [0; 3],
    }
}
