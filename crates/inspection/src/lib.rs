//! What the server and its inspection worker say to each other, and what an inspection finds.
