//! Mistakes in the body are reported where they are.

#[gort::main(unsafe(migrate))]
fn main() -> Result<(), std::num::ParseIntError> {
    let number: u32 = "42".parse()?;
    number
}
