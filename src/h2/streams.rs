//! The streams of one connection that somebody holds, by place and by number.

use ahash::AHashMap;

use super::stream::Stream;

/// Places that are kept while no stream is open.
const SLOTS_KEPT: usize = 16;

/// The place of a stream: good until it is released, which its one holder does once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey(u32);

/// All held streams.
#[derive(Debug, Default)]
pub struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    by_id: AHashMap<u32, StreamKey>,
}

impl Streams {
    /// How many are held.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams that the peer sees as open.
    pub fn open(&self) -> usize {
        self.slots.iter().flatten().filter(|stream| stream.is_open()).count()
    }

    /// Takes a stream in.
    pub fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(stream);
        }
        let key = StreamKey(index);
        if id != 0 {
            self.by_id.insert(id, key);
        }
        key
    }

    /// Gives a stream its number.
    pub fn name(&mut self, key: StreamKey, id: u32) {
        if let Some(stream) = self.get(key) {
            stream.id = id;
            self.by_id.insert(id, key);
        }
    }

    /// The stream at a place.
    pub fn get(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots.get_mut(key.0 as usize)?.as_mut()
    }

    /// The stream at a place, to look at.
    pub fn peek(&self, key: StreamKey) -> Option<&Stream> {
        self.slots.get(key.0 as usize)?.as_ref()
    }

    /// The place of a number.
    pub fn find(&self, id: u32) -> Option<StreamKey> {
        self.by_id.get(&id).copied()
    }

    /// Takes a stream out.
    pub fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        let stream = self.slots.get_mut(key.0 as usize)?.take()?;
        self.by_id.remove(&stream.id);
        self.free.push(key.0);
        if self.is_empty() && self.slots.len() > SLOTS_KEPT {
            // An idle connection holds no memory for many streams of the past.
            *self = Self::default();
        }
        Some(stream)
    }

    /// All streams.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots.iter_mut().flatten()
    }
}
