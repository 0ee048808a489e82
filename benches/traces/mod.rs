//! Traces of requests for caches: which key is asked for, and how large its answer is. The same at every run.
//!
//! Goal: the shapes that set ways of eviction apart: all keys alike, some always more popular, scans, a set that moves, a
//! loop, the calls that LLM clients make. Non-goal: time; a trace is an order, and nothing in it expires.
#![allow(dead_code, reason = "shared by benches, each of which takes a part")]

pub mod contenders;
pub mod stored;

/// One request of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub key: u64,
    /// Bytes of the answer's body: always the same for one key.
    pub bytes: u32,
}

/// A trace and the caches it is meant for.
pub struct Trace {
    pub name: String,
    pub asks: Vec<Ask>,
    /// What it is run with: a name and a share of the bytes of all its keys, or bytes.
    pub capacities: Vec<(String, u64)>,
}

/// Bytes of a body where the trace does not care.
pub const BODY_BYTES: u32 = 1_024;

/// Numbers that look random (splitmix64), the same for the same seed.
pub struct Random(u64);

impl Random {
    /// Numbers that belong to a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.unit(), self.unit());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

/// Keys whose popularity falls with a power of their rank.
pub struct Zipf {
    /// Chances of this rank and all before it.
    sums: Vec<f64>,
}

impl Zipf {
    pub fn new(keys: u64, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// A rank from 0.
    pub fn next(&self, random: &mut Random) -> u64 {
        let all = self.sums.last().copied().unwrap_or_default();
        let mark = random.unit() * all;
        self.sums.partition_point(|sum| *sum <= mark) as u64
    }
}

/// Bytes of the name of a key, `obj_` and a number.
pub fn key_bytes(key: u64) -> u64 {
    4 + u64::from(key.checked_ilog10().unwrap_or(0)) + 1
}

/// Key and body bytes of one ask.
pub fn payload_bytes(ask: Ask) -> u64 {
    key_bytes(ask.key) + u64::from(ask.bytes)
}

fn plain(key: u64) -> Ask {
    Ask { key, bytes: BODY_BYTES }
}

fn shares(keys: u64, shares: &[(&str, f64)]) -> Vec<(String, u64)> {
    let all = keys as f64 * payload_bytes(plain(keys)) as f64;
    shares.iter().map(|(name, share)| ((*name).to_owned(), (all * share) as u64)).collect()
}

/// The article's script: get-or-set over 1,000 keys that are all alike.
pub fn uniform(asks: u64) -> Trace {
    let mut random = Random::new(1);
    Trace {
        name: format!("uniform, 1,000 keys, {asks} requests"),
        asks: (0..asks).map(|_| plain(1 + random.below(1_000))).collect(),
        capacities: shares(1_000, &[("half", 0.5), ("all", 1.0)]),
    }
}

/// 100,000 keys of unequal popularity.
pub fn zipf(exponent: f64) -> Trace {
    let (zipf, mut random) = (Zipf::new(100_000, exponent), Random::new(2));
    Trace {
        name: format!("Zipf {exponent:.1}"),
        asks: (0..1_000_000).map(|_| plain(zipf.next(&mut random))).collect(),
        capacities: shares(100_000, &[("1 %", 0.01), ("10 %", 0.1)]),
    }
}

/// Zipf 0.9, and every 50,000 requests 10,000 keys that are asked for once, one after the other.
pub fn scans() -> Trace {
    let (zipf, mut random) = (Zipf::new(100_000, 0.9), Random::new(3));
    let mut asks = Vec::new();
    for round in 0..20 {
        asks.extend((0..50_000).map(|_| plain(zipf.next(&mut random))));
        asks.extend((0..10_000).map(|n| plain(1_000_000 + round * 10_000 + n)));
    }
    let capacities = shares(100_000, &[("1 %", 0.01), ("10 %", 0.1)]);
    Trace { name: "Zipf 0.9 with scans".to_owned(), asks, capacities }
}

/// Zipf 0.9 whose ranks fall to other keys every 100,000 requests: a tenth of them each time.
pub fn drift() -> Trace {
    let (zipf, mut random) = (Zipf::new(100_000, 0.9), Random::new(4));
    let mut ranks: Vec<u64> = (0..100_000).collect();
    let mut asks = Vec::new();
    for _ in 0..10 {
        asks.extend((0..100_000).map(|_| plain(ranks[zipf.next(&mut random) as usize])));
        for _ in 0..5_000 {
            let (a, b) = (random.below(100_000) as usize, random.below(100_000) as usize);
            ranks.swap(a, b);
        }
        // The most popular ones change most.
        for rank in 0..100 {
            ranks.swap(rank, random.below(100_000) as usize);
        }
    }
    let capacities = shares(100_000, &[("1 %", 0.01), ("10 %", 0.1)]);
    Trace { name: "Zipf 0.9, popularity moves".to_owned(), asks, capacities }
}

/// A window over the keys, all in it alike, that moves on by one key every 20 requests.
pub fn window() -> Trace {
    const WINDOW: u64 = 10_000;
    let mut random = Random::new(5);
    Trace {
        name: "moving window of 10,000 keys".to_owned(),
        asks: (0..1_000_000).map(|n| plain(n / 20 + random.below(WINDOW))).collect(),
        capacities: shares(WINDOW, &[("half of the window", 0.5), ("the window", 1.0)]),
    }
}

/// The same keys over and over, one fifth more than there is room for.
pub fn cycle() -> Trace {
    Trace {
        name: "loop over 12,000 keys".to_owned(),
        asks: (0..600_000).map(|n| plain(n % 12_000)).collect(),
        capacities: shares(12_000, &[("five sixths", 10.0 / 12.0)]),
    }
}

/// What LLM clients ask: lists of models (5 %), prompts that come again (35 %, Zipf 0.9 over 20,000), prompts that come
/// once (60 %); answers of 0.5 to 64 KB, log-normal around 3 KB.
pub fn llm() -> Trace {
    const PROMPTS: u64 = 20_000;
    let (zipf, mut random) = (Zipf::new(PROMPTS, 0.9), Random::new(6));
    let mut once = 10_000_000;
    let mut next = |_| match random.below(100) {
        0..5 => Ask { key: 9_000_000 + random.below(4), bytes: 8_192 },
        5..40 => sized(zipf.next(&mut random)),
        _ => {
            once += 1;
            sized(once)
        }
    };
    Trace {
        name: "LLM-like mix".to_owned(),
        asks: (0..500_000).map(&mut next).collect(),
        capacities: vec![
            ("5 MB".to_owned(), 5_000_000),
            ("20 MB".to_owned(), 20_000_000),
            ("50 MB".to_owned(), 50_000_000),
        ],
    }
}

fn sized(key: u64) -> Ask {
    let normal = Random::new(key ^ 0x5EED).normal();
    Ask { key, bytes: (3_000.0 * normal.exp()).clamp(512.0, 65_536.0) as u32 }
}

/// All of them, in the order of the table.
pub fn all() -> Vec<fn() -> Trace> {
    vec![
        || uniform(10_000),
        || uniform(100_000),
        || zipf(0.7),
        || zipf(0.8),
        || zipf(0.9),
        || zipf(1.0),
        || zipf(1.2),
        scans,
        drift,
        window,
        cycle,
        llm,
    ]
}
