// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command profile measures where an event spends its time, for the compiler, which then optimizes these functions more. It runs
// benchmarks and writes cmd/gizmo/default.pgo in the folder that it takes:
//
//	go -C tools run ./profile ..
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/pprof/profile"
)

// part is some benchmarks of a package, and for how long each of them runs: so it says how much they count.
type part struct {
	pkg, benchmarks string
	each            time.Duration
}

// parts are what an event goes through, from the kernel's buffer to the text.
var parts = []part{
	{"gadget", "SourceNext", 200 * time.Millisecond},
	{"run", "TraceOpen", 2 * time.Second},
	{"encode", "TraceOpen", time.Second},
	{"semtype", "Text", 50 * time.Millisecond},
	{"stage/container", "Stage", 500 * time.Millisecond},
	{"stage/filter", "Filter|Expr", 50 * time.Millisecond},
	{"stage/sort", "Array|Stream", 50 * time.Millisecond},
	{"wire", "Writer|Reader", 200 * time.Millisecond},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: profile FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "profile: %v\n", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	temp, err := os.MkdirTemp("", "gizmo-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	var all []*profile.Profile
	for _, p := range parts {
		one, err := p.measure(folder, filepath.Join(temp, "profile"))
		if err != nil {
			return fmt.Errorf("package %s: %w", p.pkg, err)
		}
		all = append(all, one)
	}
	merged, err := merge(all)
	if err != nil {
		return err
	}
	return write(filepath.Join(folder, "cmd/gizmo/default.pgo"), merged)
}

// measure runs the benchmarks and returns their profile of CPU time.
func (p part) measure(folder, to string) (*profile.Profile, error) {
	cmd := exec.Command("go", "test", "./"+p.pkg, "-run", "^$", "-bench", p.benchmarks, "-benchtime", p.each.String(),
		"-cpuprofile", to, "-o", to+".test")
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	f, err := os.Open(to)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return profile.Parse(f)
}

// merge adds profiles up. The result has functions and lines, and nothing about the machine.
func merge(all []*profile.Profile) (*profile.Profile, error) {
	for _, p := range all {
		for _, l := range p.Location {
			l.Mapping = nil
		}
		p.Mapping, p.Comments, p.TimeNanos = nil, nil, 0
		if err := p.Aggregate(true, true, false, true, false, false); err != nil {
			return nil, err
		}
	}
	merged, err := profile.Merge(all)
	if err != nil {
		return nil, err
	}
	return merged, merged.CheckValid()
}

func write(path string, p *profile.Profile) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(p.Write(f), f.Close())
}
