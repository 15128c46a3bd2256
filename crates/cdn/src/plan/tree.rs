//! The compressed trie of the changed paths, and the cheapest choice of wildcards in it.

use crate::{item::Item, known::Known, price::Price};

/// A step of building the trie from below: what is done with the best choices so far, which lie on a stack.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next path, on its own.
    Leaf,
    /// The two uppermost become one.
    Join,
    /// All paths of this range may be cleared by one wildcard.
    Node(Node),
}

/// A prefix that some changed paths have in common, and no longer one.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The first of these paths.
    first: usize,
    /// How many bytes of it the prefix is.
    length: usize,
    /// How many known paths begin with it that did not change.
    extra: u64,
}

/// The trie, in the order in which choices are made: children before their parents.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    paths: &'a [&'a str],
    steps: Vec<Step>,
}

/// A choice for all paths.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) items: Vec<Item>,
    /// How many of the items are paths.
    pub(super) paths: usize,
    pub(super) extra: u64,
}

/// What the best choice costs, for each number of wildcards that it may have at most; more than the last there is no use for.
type Costs = Vec<u128>;

/// How the best choice for a number of wildcards is made.
#[derive(Debug)]
enum Made {
    Leaf,
    /// How many wildcards the right one of two has, for each number that both have.
    Join(Vec<u8>),
    /// One wildcard takes the place of all below, where there are any, and fewer than so many.
    Node(usize),
}

impl<'a> Tree<'a> {
    /// Of paths in order, each there once. A prefix becomes a node only where `known` allows a wildcard.
    pub(super) fn of(paths: &'a [&'a str], known: Known<'_>) -> Self {
        let mut tree = Self {
            paths,
            steps: Vec::with_capacity(paths.len() * 3),
        };
        let counts = Counts::new(paths, known);
        // Nodes that are open: a prefix's length, where its paths begin, and how many choices lie on the stack for it.
        let mut open: Vec<(usize, usize, usize)> = Vec::new();
        for (at, path) in paths.iter().enumerate() {
            tree.steps.push(Step::Leaf);
            let next = paths.get(at + 1);
            let common = next.map_or(0, |next| common_prefix(path, next));
            // What was put on the stack last, as a child of whatever node comes next: where its paths begin.
            let mut child = at;
            while let Some(&(length, first, children)) = open.last() {
                if length < common || (length == common && next.is_some()) {
                    break;
                }
                open.pop();
                tree.close((length, first, children + 1), at + 1, &counts);
                child = first;
            }
            if next.is_none() {
                break;
            }
            match open.last_mut() {
                Some((length, _, children)) if *length == common => *children += 1,
                _ => open.push((common, child, 1)),
            }
        }
        tree
    }

    /// Makes one choice of the uppermost `children`, and offers a wildcard for it.
    fn close(
        &mut self,
        (length, first, children): (usize, usize, usize),
        end: usize,
        counts: &Counts<'_>,
    ) {
        self.steps
            .extend(std::iter::repeat_n(Step::Join, children - 1));
        let prefix = self.paths.get(first).and_then(|path| path.get(..length));
        if let Some(extra) = prefix.and_then(|prefix| counts.extra(prefix, first, end)) {
            self.steps.push(Step::Node(Node {
                first,
                length,
                extra,
            }));
        }
    }

    /// The cheapest choice with `most` wildcards at most.
    pub(super) fn cheapest(&self, price: Price, most: usize) -> Chosen {
        let most = most.min(usize::from(u8::MAX));
        let made = self.decide(price, most);
        self.collect(&made, most)
    }

    fn decide(&self, price: Price, most: usize) -> Vec<Made> {
        let item = u128::from(price.item);
        let mut stack: Vec<Costs> = Vec::new();
        let mut made = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            made.push(match step {
                Step::Leaf => {
                    stack.push(vec![item]);
                    Made::Leaf
                }
                Step::Join => {
                    let right = stack.pop().unwrap_or_default();
                    let left = stack.pop().unwrap_or_default();
                    let (costs, shares) = join(&left, &right, most);
                    stack.push(costs);
                    Made::Join(shares)
                }
                Step::Node(node) => {
                    let wildcard = item + u128::from(price.object) * u128::from(node.extra);
                    Made::Node(
                        stack
                            .last_mut()
                            .map_or(0, |costs| offer(costs, wildcard, most)),
                    )
                }
            });
        }
        made
    }

    /// Goes back over all decisions, from the last one.
    fn collect(&self, made: &[Made], most: usize) -> Chosen {
        let mut chosen = Chosen::default();
        // How many wildcards each choice below may have; none where one above takes its place.
        let mut shares = vec![Some(most)];
        let mut leaf = self.paths.len();
        for (step, made) in self.steps.iter().zip(made).rev() {
            let share = shares.pop().flatten();
            match (step, made) {
                (Step::Leaf, _) => {
                    leaf = leaf.saturating_sub(1);
                    if let (Some(_), Some(path)) = (share, self.paths.get(leaf)) {
                        chosen.items.push(Item::spelled(path));
                        chosen.paths += 1;
                    }
                }
                (Step::Join, Made::Join(split)) => {
                    let share = share.map(|share| share.min(split.len().saturating_sub(1)));
                    let right = share
                        .and_then(|share| split.get(share))
                        .map(|right| usize::from(*right));
                    let left = share.zip(right).map(|(share, right)| share - right);
                    // The right one was made last, so it is met first.
                    shares.extend([left, right]);
                }
                (Step::Node(node), Made::Node(below)) => {
                    let is_taken = share.is_some_and(|share| (1..*below).contains(&share));
                    let prefix = self
                        .paths
                        .get(node.first)
                        .and_then(|path| path.get(..node.length));
                    if let (true, Some(prefix)) = (is_taken, prefix) {
                        chosen.items.push(Item::wildcard(prefix));
                        chosen.extra += node.extra;
                    }
                    shares.push(share.filter(|_| !is_taken));
                }
                _ => shares.push(share),
            }
        }
        chosen
    }
}

/// The best of two choices side by side: the costs, and how many wildcards the right one has.
fn join(left: &Costs, right: &Costs, most: usize) -> (Costs, Vec<u8>) {
    let uses = (left.len() + right.len()).saturating_sub(2).min(most);
    let mut costs = vec![u128::MAX; uses + 1];
    let mut shares = vec![0; uses + 1];
    for (of_left, left) in left.iter().enumerate() {
        for (of_right, right) in right.iter().enumerate() {
            let at = of_left + of_right;
            let Some((cost, share)) = costs.get_mut(at).zip(shares.get_mut(at)) else {
                break;
            };
            if left + right < *cost {
                *cost = left + right;
                *share = u8::try_from(of_right).unwrap_or(u8::MAX);
            }
        }
    }
    (costs, shares)
}

/// Offers one wildcard for all, and says below how many wildcards it is taken where there is any: with enough of them the
/// choices below may be cheaper. What costs the same is left as it is.
fn offer(costs: &mut Costs, wildcard: u128, most: usize) -> usize {
    let dearer = costs.iter().take_while(|cost| **cost > wildcard).count();
    let below = if dearer == costs.len() {
        usize::MAX
    } else {
        dearer
    };
    if costs.len() == 1 && most > 0 && dearer == 1 {
        costs.push(wildcard);
    }
    for cost in costs.iter_mut().skip(1) {
        *cost = wildcard.min(*cost);
    }
    below
}

/// How many known paths begin with a prefix that did not change.
struct Counts<'a> {
    known: Known<'a>,
    /// How many of the changed paths before each are known, too.
    before: Vec<usize>,
}

impl<'a> Counts<'a> {
    fn new(paths: &[&str], known: Known<'a>) -> Self {
        let mut before = Vec::new();
        if let Known::Listed(listing) = known {
            before.reserve(paths.len() + 1);
            let mut count = 0;
            for path in paths {
                before.push(count);
                count += usize::from(listing.has(path));
            }
            before.push(count);
        }
        Self { known, before }
    }

    /// Under `prefix`, which the changed paths `first..end` begin with; none where no wildcard may be so wide.
    fn extra(&self, prefix: &str, first: usize, end: usize) -> Option<u64> {
        let extra = match self.known {
            Known::Nothing => return None,
            Known::Owned(under) => prefix.starts_with(under).then_some(end - first)?,
            Known::Listed(listing) => {
                prefix.starts_with(listing.under()).then_some(())?;
                let changed = self.before.get(end)? - self.before.get(first)?;
                listing.count(prefix).saturating_sub(changed)
            }
        };
        u64::try_from(extra).ok()
    }
}

/// How many bytes two paths have in common, not counting a part of an escape, nor a part of a letter that takes several.
fn common_prefix(one: &str, other: &str) -> usize {
    let same = one
        .bytes()
        .zip(other.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let in_escape = (1..=2).find(|back| {
        let at = same.checked_sub(*back);
        at.and_then(|at| one.as_bytes().get(at)) == Some(&b'%')
    });
    let mut end = same - in_escape.unwrap_or(0);
    while let Some(start) = end.checked_sub(ESCAPE)
        && one.as_bytes().get(start) == Some(&b'%')
        && [one, other].iter().any(|path| goes_on(path, end))
    {
        end = start;
    }
    end
}

/// The bytes of an escape: `%C3`.
const ESCAPE: usize = 3;

/// Whether a letter that began before goes on here: whether there is an escape of `80` to `BF` (RFC 3629, 3).
fn goes_on(path: &str, at: usize) -> bool {
    let rest = path.as_bytes().get(at..);
    matches!(rest, Some([b'%', b'8' | b'9' | b'A' | b'B', ..]))
}
