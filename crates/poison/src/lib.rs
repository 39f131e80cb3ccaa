//! Screens for poisoned rows: wrong labels, triggers, inserted points; and the rows that an attacker would gain most by changing.
