//! What ends a process, and what must not, seen from outside: each test runs a program (`ending`) and looks at what it
//! prints and how it ends.

mod blockers;
mod child;
mod children;
mod deadlocks;
mod ends;
mod exits;
mod fire;
mod held;
mod hogs;
mod interrupted;
mod limits;
mod live;
mod midst;
mod misuse;
mod network;
mod overflows;
mod signals;
mod soak;
mod threads;
mod urgent;
