#!/bin/bash
# The stand-in for Isaac Sim's python.sh: it starts an interpreter as its child and turns any failure into 1, as that one does.
set -e
error_exit() {
    echo "There was an error running python"
    exit 1
}
python_exe=python3
args=""
$python_exe "$@" $args || error_exit
