//! What ends a process, and what must not, seen from outside: each test runs a program (`ending`) and looks at what it
//! prints and how it ends.

mod child;
mod deadlocks;
mod ends;
mod exits;
mod held;
mod limits;
mod live;
mod misuse;
mod network;
mod overflows;
mod signals;
