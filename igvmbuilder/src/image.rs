// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the SVSM's ELF64 image into pages. ELF: System V ABI, chapters 4 and 5.

use std::{collections::BTreeMap, fmt, ops::Range};

use object::{
    LittleEndian,
    elf::{self, FileHeader64, ProgramHeader64},
    read::elf::{FileHeader, ProgramHeader},
};
use snp_abi::{PAGE_SIZE, PAGE_SIZE_U64};

/// The contents of a page.
pub type Page = [u8; PAGE_SIZE];

/// An image as it will lie in memory.
#[derive(Clone, Debug)]
pub struct Image {
    /// GPA of the first instruction.
    pub entry_gpa: u32,
    /// GPA of the first page, and behind the last.
    pub range: Range<u64>,
    pages: BTreeMap<u64, Box<Page>>,
}

/// Why an image can't be used.
#[derive(Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Not an ELF file that can be read.
    Elf(String),
    /// Not a 64-bit little-endian x86-64 executable.
    Kind,
    /// No loadable segment.
    Empty,
    /// A segment doesn't lie within the place for images.
    OutsideRegion(Range<u64>),
    /// Two segments overlap.
    Overlap(u64),
    /// A segment is larger in the file than in memory, or goes beyond the file's end.
    Segment(u64),
    /// The entry point isn't in a segment.
    Entry(u64),
}

impl fmt::Display for ImageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(why) => write!(formatter, "not a readable ELF file: {why}"),
            Self::Kind => write!(formatter, "not a 64-bit little-endian x86-64 executable"),
            Self::Empty => write!(formatter, "no loadable segment"),
            Self::OutsideRegion(range) => write!(
                formatter,
                "segment {:#x}..{:#x} lies outside the place for the image",
                range.start, range.end
            ),
            Self::Overlap(gpa) => write!(formatter, "segments overlap at {gpa:#x}"),
            Self::Segment(gpa) => write!(formatter, "segment at {gpa:#x}: sizes make no sense"),
            Self::Entry(address) => {
                write!(formatter, "entry point {address:#x} is in no loaded segment")
            }
        }
    }
}

impl std::error::Error for ImageError {}

struct Segment<'file> {
    range: Range<u64>,
    virtual_start: u64,
    data: &'file [u8],
}

impl Image {
    /// Reads an ELF file whose segments' physical addresses must lie in `place`.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn from_elf(bytes: &[u8], place: Range<u64>) -> Result<Self, ImageError> {
        let elf_error = |error: object::read::Error| ImageError::Elf(error.to_string());
        let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(elf_error)?;
        let endian = header.endian().map_err(elf_error)?;
        let is_executable = matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN);
        if !is_executable || header.e_machine(endian) != elf::EM_X86_64 {
            return Err(ImageError::Kind);
        }
        let mut segments = header
            .program_headers(endian, bytes)
            .map_err(elf_error)?
            .iter()
            .filter(|segment| {
                segment.p_type(endian) == elf::PT_LOAD && segment.p_memsz(endian) != 0
            })
            .map(|segment| Segment::read(segment, bytes, &place))
            .collect::<Result<Vec<_>, _>>()?;
        segments.sort_by_key(|segment| segment.range.start);
        for (lower, upper) in segments.iter().zip(segments.iter().skip(1)) {
            if upper.range.start < lower.range.end {
                return Err(ImageError::Overlap(upper.range.start));
            }
        }
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return Err(ImageError::Empty);
        };
        let start = first.range.start & !(PAGE_SIZE_U64 - 1);
        let end = last.range.end.next_multiple_of(PAGE_SIZE_U64);
        Ok(Self {
            entry_gpa: entry_gpa(header.e_entry(endian), &segments)?,
            range: start..end,
            pages: fill_pages(start..end, &segments),
        })
    }

    /// All pages of the image in ascending order; gaps between segments are pages of zeros, so
    /// that the whole range is measured and validated.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.pages.iter().map(|(&gpa, page)| (gpa, &**page))
    }
}

impl<'file> Segment<'file> {
    fn read(
        header: &ProgramHeader64<LittleEndian>,
        bytes: &'file [u8],
        place: &Range<u64>,
    ) -> Result<Self, ImageError> {
        let endian = LittleEndian;
        let start = header.p_paddr(endian);
        let size = header.p_memsz(endian);
        let end = start.checked_add(size).ok_or(ImageError::Segment(start))?;
        if start < place.start || end > place.end {
            return Err(ImageError::OutsideRegion(start..end));
        }
        let data = header.data(endian, bytes).map_err(|()| ImageError::Segment(start))?;
        if data.len() as u64 > size {
            return Err(ImageError::Segment(start));
        }
        Ok(Self { range: start..end, virtual_start: header.p_vaddr(endian), data })
    }
}

/// The entry point is a virtual address; the vCPU starts with paging off.
fn entry_gpa(entry: u64, segments: &[Segment<'_>]) -> Result<u32, ImageError> {
    segments
        .iter()
        .find_map(|segment| {
            let offset = entry.checked_sub(segment.virtual_start)?;
            let gpa = segment.range.start.checked_add(offset)?;
            segment.range.contains(&gpa).then_some(gpa)
        })
        .and_then(|gpa| u32::try_from(gpa).ok())
        .ok_or(ImageError::Entry(entry))
}

fn fill_pages(range: Range<u64>, segments: &[Segment<'_>]) -> BTreeMap<u64, Box<Page>> {
    let mut pages: BTreeMap<u64, Box<Page>> =
        range.step_by(PAGE_SIZE).map(|gpa| (gpa, Box::new([0; PAGE_SIZE]))).collect();
    for segment in segments {
        for (gpa, &byte) in (segment.range.start..).zip(segment.data) {
            let offset = usize::try_from(gpa % PAGE_SIZE_U64).unwrap_or_default();
            let page = pages.get_mut(&(gpa & !(PAGE_SIZE_U64 - 1)));
            if let Some(place) = page.and_then(|page| page.get_mut(offset)) {
                *place = byte;
            }
        }
    }
    pages
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const PLACE: Range<u64> = 0x401_0000..0x500_0000;

    /// A segment for [`elf`]: virtual and physical address, bytes, size in memory.
    pub(crate) type TestSegment<'bytes> = (u64, u64, &'bytes [u8], u64);

    /// An ELF file with these segments.
    pub(crate) fn elf(entry: u64, segments: &[TestSegment<'_>]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        for half in [2u16, 62] {
            file.extend(half.to_le_bytes());
        }
        file.extend(1u32.to_le_bytes());
        for word in [entry, 64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        let count = u16::try_from(segments.len()).expect("a few segments");
        for half in [64, 56, count, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        let mut offset = 64 + 56 * segments.len() as u64;
        for (virtual_address, physical_address, data, size) in segments {
            let file_size = data.len() as u64;
            file.extend(elf::PT_LOAD.to_le_bytes());
            file.extend(7u32.to_le_bytes());
            for word in [offset, *virtual_address, *physical_address, file_size, *size, 0x1000] {
                file.extend(word.to_le_bytes());
            }
            offset += file_size;
        }
        for (_, _, data, _) in segments {
            file.extend(*data);
        }
        file
    }

    fn refused(entry: u64, segments: &[TestSegment<'_>]) -> Option<ImageError> {
        Image::from_elf(&elf(entry, segments), PLACE).err()
    }

    #[test]
    fn images_that_can_not_be_loaded_are_refused() {
        let base = PLACE.start;
        assert!(matches!(Image::from_elf(b"MZ", PLACE), Err(ImageError::Elf(_))));
        assert_eq!(refused(base, &[]), Some(ImageError::Empty));
        assert_eq!(
            refused(base, &[(base, base - 1, b"a", 2)]),
            Some(ImageError::OutsideRegion(base - 1..base + 1))
        );
        assert_eq!(
            refused(base, &[(base, 0x4ff_f000, b"a", 0x1001)]),
            Some(ImageError::OutsideRegion(0x4ff_f000..0x500_0001))
        );
        assert_eq!(
            refused(base, &[(base, u64::MAX, b"a", 2)]),
            Some(ImageError::Segment(u64::MAX))
        );
        assert_eq!(refused(base, &[(base, base, b"abc", 2)]), Some(ImageError::Segment(base)));
        assert_eq!(
            refused(base, &[(base, base, b"abc", 3), (base + 2, base + 2, b"d", 1)]),
            Some(ImageError::Overlap(base + 2))
        );
        assert_eq!(
            refused(base + 3, &[(base, base, b"abc", 3)]),
            Some(ImageError::Entry(base + 3))
        );
        let mut arm = elf(base, &[(base, base, b"abc", 3)]);
        arm[18] = 183;
        assert_eq!(Image::from_elf(&arm, PLACE).err(), Some(ImageError::Kind));
        let mut truncated = elf(base, &[(base, base, b"abc", 3)]);
        truncated.pop();
        assert_eq!(Image::from_elf(&truncated, PLACE).err(), Some(ImageError::Segment(base)));
    }

    #[test]
    fn gaps_and_bss_become_pages_of_zeros() {
        let base = PLACE.start;
        let high = 0xffff_ff80_0000_0000;
        let file = elf(
            high + 1,
            &[(high, base + 0xfff, b"ab", 2), (high + 0x3000, base + 0x3000, b"c", 0x1001)],
        );
        let image = Image::from_elf(&file, PLACE).expect("a good image");
        assert_eq!(image.entry_gpa, 0x401_1000);
        assert_eq!(image.range, base..base + 0x5000);
        let pages: Vec<_> = image.pages().collect();
        assert_eq!(pages.len(), 5);
        assert_eq!((pages[0].1[0xfff], pages[1].1[0], pages[3].1[0]), (b'a', b'b', b'c'));
        assert!(pages[2].1.iter().chain(pages[4].1).all(|&byte| byte == 0));
    }
}
