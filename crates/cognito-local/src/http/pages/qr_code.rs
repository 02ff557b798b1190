//! QR codes for authenticator apps.

use qrcode::{Color, EcLevel, QrCode};

/// A QR code as the path of an SVG image.
pub(super) struct QrCodePath {
    pub(super) size: usize,
    pub(super) path: String,
}

impl QrCodePath {
    /// The quiet zone of ISO/IEC 18004, in modules.
    const MARGIN: usize = 4;

    pub(super) fn new(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        let path = dark
            .map(|(index, _)| {
                let (x, y) = (index % width + Self::MARGIN, index / width + Self::MARGIN);
                format!("M{x} {y}h1v1h-1z")
            })
            .collect();
        Some(Self { size: width + 2 * Self::MARGIN, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_has_a_quiet_zone_and_finder_patterns() {
        let picture = QrCodePath::new("otpauth://totp/x?secret=AAAA").unwrap();
        assert!(picture.path.starts_with("M4 4h1v1h-1zM5 4h1v1h-1z"), "{}", &picture.path[..40]);
        assert!(!picture.path.contains("M3 ") && !picture.path.contains(&format!("M{} ", picture.size - 4)));
    }
}
