// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package procstat reads the file stat of a process in /proc.
package procstat

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Process is what gizmo reads of the file.
type Process struct {
	// Parent is the id of the parent; 0 if it is in another PID namespace or there is none.
	Parent int
	// Began is when the process started, in nanoseconds since boot.
	Began int64
	// StartCode and StartStack are where the code of the program and its stack begin in memory. Each exec chooses others, for programs that
	// allow it. They are 0 or 1 if gizmo may not know.
	StartCode, StartStack uint64
}

// clockTicks is the number of ticks in a second in which /proc counts, on all architectures that gizmo runs on.
const clockTicks = 100

// Read reads what the kernel says of the process with this folder in /proc: fields 4, 22, 26 and 28. The name in field 2 may hold anything.
func Read(dir string) (p Process, err error) {
	path := dir + "/stat"
	data, err := os.ReadFile(path)
	if err != nil {
		return p, err
	}
	const parent, startTime = 4 - 3, 22 - 3 // counted from the field after the name
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) <= startTime {
		return p, fmt.Errorf("%s: %d fields after the name", path, len(fields))
	}
	if p.Parent, err = strconv.Atoi(string(fields[parent])); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	ticks, err := strconv.ParseInt(string(fields[startTime]), 10, 64)
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	p.Began = ticks * (1e9 / clockTicks)
	p.StartCode, p.StartStack = address(fields, 26-3), address(fields, 28-3)
	return p, nil
}

// address returns a field that is an address, or 0.
func address(fields [][]byte, i int) uint64 {
	if i >= len(fields) {
		return 0
	}
	v, err := strconv.ParseUint(string(fields[i]), 10, 64)
	if err != nil {
		return 0
	}
	return v
}
