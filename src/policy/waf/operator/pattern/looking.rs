//! Runs a pattern that looks around, in time linear in the value: what holds ahead or behind is worked out for all places
//! first, by one pass each, and then the pattern is run with that knowledge.
//!
//! All alternatives are followed at once, so no value can make it slow; it is slower than the regex engine by a factor, and
//! serves the few patterns that need it. It says whether there is a match, not where.

use super::class::is_word;
use super::{Class, Node, Position};

/// Steps of a program: together with the length of a value the bound of the time that a match may take.
const STEPS_MAX: usize = 2_000;

/// A compiled pattern with look-around.
#[derive(Clone, Debug)]
pub struct Looking {
    /// What is looked for ahead or behind, innermost first; a program refers to earlier ones only.
    arounds: Vec<Around>,
    main: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Around {
    ahead: bool,
    negative: bool,
    steps: Vec<Step>,
}

/// A step leads to the next one unless it says otherwise.
#[derive(Clone, Debug)]
enum Step {
    Byte(Class),
    At(Position),
    /// The around of this number must hold here.
    Around(usize),
    Jump(usize),
    Split(usize, usize),
    Match,
}

impl Looking {
    /// Compiles `node`.
    ///
    /// # Errors
    ///
    /// The program would be too long.
    pub fn new(node: &Node) -> Result<Self, String> {
        let mut builder = Builder { arounds: Vec::new(), left: STEPS_MAX };
        let main = builder.program(node, false)?;
        Ok(Self { arounds: builder.arounds, main })
    }

    /// Whether the pattern matches anywhere in `value`.
    pub fn is_match(&self, value: &[u8]) -> bool {
        let mut known: Vec<Places> = Vec::with_capacity(self.arounds.len());
        for around in &self.arounds {
            let mut places = Places::new(value.len());
            Run::new(&around.steps, value, &known).all(around.ahead, &mut places);
            if around.negative {
                places.negate();
            }
            known.push(places);
        }
        Run::new(&self.main, value, &known).any()
    }
}

/// A set of places in a value: 0 to its length.
struct Places {
    words: Vec<u64>,
}

impl Places {
    fn new(len: usize) -> Self {
        Self { words: vec![0; len / 64 + 1] }
    }

    fn insert(&mut self, place: usize) {
        if let Some(word) = self.words.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn contains(&self, place: usize) -> bool {
        self.words.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn negate(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
    }
}

struct Builder {
    arounds: Vec<Around>,
    /// Steps that may still be made.
    left: usize,
}

impl Builder {
    /// `backward`: the program reads from the end to the start.
    fn program(&mut self, node: &Node, backward: bool) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        self.add(node, backward, &mut steps)?;
        self.push(Step::Match, &mut steps)?;
        Ok(steps)
    }

    fn push(&mut self, step: Step, steps: &mut Vec<Step>) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or("a pattern with look-around that is too large")?;
        steps.push(step);
        Ok(())
    }

    fn add(&mut self, node: &Node, backward: bool, steps: &mut Vec<Step>) -> Result<(), String> {
        match node {
            Node::Empty => Ok(()),
            Node::Byte(class) => self.push(Step::Byte(*class), steps),
            Node::At(position) => self.push(Step::At(*position), steps),
            Node::Group(_, node) => self.add(node, backward, steps),
            Node::Concat(nodes) if backward => nodes.iter().rev().try_for_each(|node| self.add(node, true, steps)),
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.add(node, false, steps)),
            Node::Alternation(nodes) => self.alternation(nodes, backward, steps),
            Node::Repeat { min, max, node, .. } => self.repeat(*min, *max, node, backward, steps),
            Node::Around { ahead, negative, node } => {
                // What is ahead is found by reading from the end, what is behind by reading from the start.
                let program = self.program(node, *ahead)?;
                self.arounds.push(Around { ahead: *ahead, negative: *negative, steps: program });
                self.push(Step::Around(self.arounds.len() - 1), steps)
            }
        }
    }

    fn alternation(&mut self, nodes: &[Node], backward: bool, steps: &mut Vec<Step>) -> Result<(), String> {
        let mut ends = Vec::new();
        for (n, node) in nodes.iter().enumerate() {
            if n + 1 == nodes.len() {
                self.add(node, backward, steps)?;
                break;
            }
            let split = steps.len();
            self.push(Step::Split(split + 1, 0), steps)?;
            self.add(node, backward, steps)?;
            ends.push(steps.len());
            self.push(Step::Jump(0), steps)?;
            let end = steps.len();
            set(steps, split, Step::Split(split + 1, end));
        }
        let behind = steps.len();
        for end in ends {
            set(steps, end, Step::Jump(behind));
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        min: u32,
        max: Option<u32>,
        node: &Node,
        backward: bool,
        steps: &mut Vec<Step>,
    ) -> Result<(), String> {
        for _ in 0..min {
            self.add(node, backward, steps)?;
        }
        let Some(max) = max else {
            let split = steps.len();
            self.push(Step::Split(split + 1, 0), steps)?;
            self.add(node, backward, steps)?;
            self.push(Step::Jump(split), steps)?;
            let end = steps.len();
            set(steps, split, Step::Split(split + 1, end));
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(steps.len());
            self.push(Step::Split(0, 0), steps)?;
            self.add(node, backward, steps)?;
        }
        for split in splits {
            let end = steps.len();
            set(steps, split, Step::Split(split + 1, end));
        }
        Ok(())
    }
}

fn set(steps: &mut [Step], at: usize, step: Step) {
    if let Some(place) = steps.get_mut(at) {
        *place = step;
    }
}

/// One pass of a program over a value.
struct Run<'a> {
    steps: &'a [Step],
    value: &'a [u8],
    known: &'a [Places],
    /// Steps that wait for the byte at the current place.
    now: Vec<usize>,
    then: Vec<usize>,
    /// The place, plus one, at which a step was last reached: each is followed once per place.
    reached: Vec<usize>,
    pending: Vec<usize>,
}

impl<'a> Run<'a> {
    fn new(steps: &'a [Step], value: &'a [u8], known: &'a [Places]) -> Self {
        Self {
            steps,
            value,
            known,
            now: Vec::new(),
            then: Vec::new(),
            reached: vec![0; steps.len()],
            pending: Vec::new(),
        }
    }

    /// Whether there is a match anywhere.
    fn any(mut self) -> bool {
        (0..=self.value.len()).any(|place| {
            let byte = self.value.get(place).copied();
            self.place(place, byte)
        })
    }

    /// Collects the places at which a match ends; `backward`: those at which it begins.
    fn all(mut self, backward: bool, places: &mut Places) {
        for n in 0..=self.value.len() {
            let place = if backward { self.value.len() - n } else { n };
            let ahead = if backward { place.checked_sub(1) } else { Some(place) };
            let byte = ahead.and_then(|at| self.value.get(at)).copied();
            if self.place(place, byte) {
                places.insert(place);
            }
        }
    }

    /// Follows, at `place`, what came here and a new beginning, and then consumes `byte`. Whether a match ends here.
    fn place(&mut self, place: usize, byte: Option<u8>) -> bool {
        let mut waiting = std::mem::take(&mut self.now);
        let mut matched = self.follow(0, place);
        for step in waiting.drain(..) {
            matched |= self.follow(step, place);
        }
        std::mem::swap(&mut self.now, &mut waiting);
        // `then` holds the steps that consume; those that take the byte go on behind it.
        for step in self.then.drain(..) {
            if let (Some(Step::Byte(class)), Some(byte)) = (self.steps.get(step), byte)
                && class.contains(byte)
            {
                self.now.push(step + 1);
            }
        }
        matched
    }

    /// Follows all that leads on from `step` without a byte.
    fn follow(&mut self, step: usize, place: usize) -> bool {
        let mut matched = false;
        self.pending.push(step);
        while let Some(step) = self.pending.pop() {
            match self.reached.get_mut(step) {
                Some(reached) if *reached != place + 1 => *reached = place + 1,
                _ => continue,
            }
            match self.steps.get(step) {
                Some(Step::Byte(_)) => self.then.push(step),
                Some(Step::At(position)) if holds(*position, self.value, place) => self.pending.push(step + 1),
                Some(Step::Around(n)) if self.known.get(*n).is_some_and(|places| places.contains(place)) => {
                    self.pending.push(step + 1);
                }
                Some(Step::Jump(to)) => self.pending.push(*to),
                Some(Step::Split(one, other)) => self.pending.extend([*one, *other]),
                Some(Step::Match) => matched = true,
                _ => {}
            }
        }
        matched
    }
}

fn holds(position: Position, value: &[u8], place: usize) -> bool {
    let before = place.checked_sub(1).and_then(|at| value.get(at)).copied();
    let after = value.get(place).copied();
    let at_edge = before.is_some_and(is_word) != after.is_some_and(is_word);
    match position {
        Position::Start => before.is_none(),
        Position::End => after.is_none(),
        Position::LineStart => before.is_none_or(|byte| byte == b'\n'),
        Position::LineEnd => after.is_none_or(|byte| byte == b'\n'),
        Position::Word => at_edge,
        Position::NotWord => !at_edge,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn is_match(pattern: &str, value: &str) -> bool {
        Looking::new(&parse(pattern.as_bytes()).unwrap()).unwrap().is_match(value.as_bytes())
    }

    #[test]
    fn what_is_ahead_and_behind_is_seen() {
        let table = [
            ("foo(?=bar)", "xfoobar", true),
            ("foo(?=bar)", "foobaz", false),
            ("foo(?!bar)", "foobar foo", true),
            ("foo(?!bar)", "foobar", false),
            ("(?<=a|bcd)x", "bcdx", true),
            ("(?<=a|bcd)x", "cdx", false),
            ("(?<!&amp|&apos);", "a&amp;b&apos;", false),
            ("(?<!&amp|&apos);", "a&amp;b;", true),
            ("^(?!.*secret).*$", "a secret", false),
            ("^(?!.*secret).*$", "nothing", true),
            ("(?<!a(?=b))b", "ab", false),
            ("(?<!a(?=b))b", "cb", true),
            ("a(?=b(?!c))", "abc abd", true),
            ("a(?=b(?!c))", "abc", false),
            ("(?:ab){2,3}(?=c)", "ababc", true),
            ("(?:ab){2,3}(?=c)", "abc", false),
            ("x*(?!x)y\\b", "xxy", true),
            ("a\\Z", "a\n", true),
            ("a\\Z", "a\nb", false),
        ];
        for (pattern, value, expected) in table {
            assert_eq!(is_match(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn a_large_pattern_is_refused() {
        assert!(Looking::new(&parse(b"(?=a)(?:(?:abc){100}){100}").unwrap()).is_err());
    }
}
