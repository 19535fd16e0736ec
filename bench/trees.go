// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// treeSeconds is the processor time that each of the trees uses in a round.
const treeSeconds = 2

// tree is a program that calls functions to a depth that is known.
type tree struct {
	comm  string
	title string
	args  []string
}

func (m *machine) trees() []tree {
	seconds := strconv.Itoa(treeSeconds)
	return []tree{
		{"tree-fp", "C with frame pointers", []string{"bin/tree-fp", seconds}},
		{"tree-nofp", "C without", []string{"bin/tree-nofp", seconds}},
		// By the link's name the process is known from others of Python.
		{"tree-py", "Python", []string{filepath.Join(m.dir, "tree-py"), "-I", "bench/tree/tree.py", seconds}},
	}
}

// growth is what a tree says of itself: the processor time that it used, and the work that it did in it.
type growth struct{ cpu, work float64 }

// runningTree is a tree that works and then stays until its input is closed.
type runningTree struct {
	cmd   *exec.Cmd
	input io.Closer
	out   *bufio.Reader
}

// grow runs all trees, calls then while they stay, and ends them.
func (m *machine) grow(then func() error) (grown []growth, err error) {
	var running []*runningTree
	defer func() {
		for _, r := range running {
			err = errors.Join(err, r.input.Close(), r.cmd.Wait())
		}
	}()
	for _, t := range m.trees() {
		r, err := startTree(&t)
		if err != nil {
			return nil, err
		}
		running = append(running, r)
	}
	for _, r := range running {
		var g growth
		if _, err := fmt.Fscan(r.out, &g.cpu, &g.work); err != nil {
			return nil, fmt.Errorf("%s: %w", r.cmd.Path, err)
		}
		grown = append(grown, g)
	}
	return grown, then()
}

func startTree(t *tree) (*runningTree, error) {
	r := &runningTree{cmd: program(t.args)}
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewReader(out)
	if r.input, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return r, r.cmd.Start()
}
