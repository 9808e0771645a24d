//! Puts the worked example into the test binary, as a program that embeds dunlin would.

fn main() {
    dunlin_build::embed("../migrations").expect("the example can be embedded");
}
