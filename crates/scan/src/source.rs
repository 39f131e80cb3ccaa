//! Where bytes come from: whoever calls the scanner hands over something that can be read at an offset.

use std::io;

/// Bytes of a known number that can be read at any offset. Reading must not change them.
pub trait Source {
    /// How many bytes there are.
    fn size_bytes(&self) -> u64;

    /// Reads some bytes at `offset` into `buffer`, and says how many; 0 only at the end.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for [u8] {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

impl Source for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.as_slice().size_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buffer)
    }
}

/// A file opened by the caller.
#[derive(Debug)]
pub struct FileSource {
    file: std::fs::File,
    size_bytes: u64,
}

impl FileSource {
    /// Takes an open file.
    ///
    /// # Errors
    /// If its size cannot be had.
    pub fn new(file: std::fs::File) -> io::Result<Self> {
        let size_bytes = file.metadata()?.len();
        Ok(Self { file, size_bytes })
    }
}

impl Source for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buffer, offset)
    }
}

/// A part of a source, as large as one member of an archive, say.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    source: &'a dyn Source,
    start: u64,
    size: u64,
}

impl<'a> Window<'a> {
    pub fn whole(source: &'a dyn Source) -> Self {
        Self { source, start: 0, size: source.size_bytes() }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// A part of this part, cut to what there is.
    pub fn part(&self, offset: u64, size: u64) -> Self {
        let offset = offset.min(self.size);
        Self { source: self.source, start: self.start.saturating_add(offset), size: size.min(self.size - offset) }
    }

    /// Everything from an offset on.
    pub fn from(&self, offset: u64) -> Self {
        self.part(offset, self.size)
    }

    /// Fills as much of `buffer` as there is at `offset`.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let mut done = 0;
        while done < wanted {
            let Some(rest) = buffer.get_mut(done..wanted) else { break };
            match self.source.read_at(self.start.saturating_add(offset).saturating_add(done as u64), rest) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the bytes end before their stated size")),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// At most `count` bytes at `offset`; fewer at the end. The caller bounds `count`.
    pub fn bytes(&self, offset: u64, count: u64) -> io::Result<Vec<u8>> {
        let count = usize::try_from(count.min(self.size.saturating_sub(offset))).unwrap_or(usize::MAX);
        let mut bytes = vec![0; count];
        let read = self.fill(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Whether the bytes at `offset` are these.
    pub fn has(&self, offset: u64, magic: &[u8]) -> io::Result<bool> {
        Ok(self.bytes(offset, magic.len() as u64)? == magic)
    }

    /// As a stream from the start.
    pub fn stream(self) -> Stream<'a> {
        Stream { window: self, position: 0 }
    }
}

/// A part read from its start to its end.
pub(crate) struct Stream<'a> {
    window: Window<'a>,
    position: u64,
}

impl Stream<'_> {
    /// Bytes that are not read yet.
    pub fn left(&self) -> u64 {
        self.window.size().saturating_sub(self.position)
    }
}

impl io::Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.window.fill(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}
