#!/usr/bin/env python3
"""The solver cvc5 as a program that reads SMT-LIB from its input, for machines that have it as a Python package alone.

cvc5_program.py [--version | OPTIONS…]

Options are those of cvc5 (`--tlimit-per=2000`); `--lang smt` is all that it speaks.
"""

import sys

import cvc5


def begin(options):
    """A solver with nothing told to it yet, and a reader of commands for it."""
    solver = cvc5.Solver()
    for name, value in options:
        solver.setOption(name, value)
    return solver, cvc5.InputParser(solver)


def main():
    words = sys.argv[1:]
    if "--version" in words:
        print(f"This is cvc5 version {cvc5.__version__}")
        return
    options = [tuple(word[2:].split("=", 1)) for word in words if word.startswith("--") and "=" in word]
    solver, parser = begin(options)
    said = ""
    for line in sys.stdin:
        if line.strip() == "(reset)":
            solver, parser = begin(options)
            said = ""
            continue
        said += line
        # A command may go over lines: it is whole when its brackets are, outside of texts and comments.
        depth, quoted, barred = 0, False, False
        for letter in said:
            quoted ^= letter == '"' and not barred
            barred ^= letter == "|" and not quoted
            depth += 0 if quoted or barred else (letter == "(") - (letter == ")")
        if depth or quoted or barred:
            continue
        parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, said, "input")
        said = ""
        while not (command := parser.nextCommand()).isNull():
            answer = command.invoke(solver, parser.getSymbolManager())
            if answer and answer.strip() != "success":
                print(answer, end="" if answer.endswith("\n") else "\n", flush=True)


if __name__ == "__main__":
    main()
