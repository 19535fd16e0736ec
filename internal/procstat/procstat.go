// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package procstat reads the file stat of a process in /proc.
package procstat

import (
	"fmt"
	"os"
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

// Read reads what the kernel says of the process with this folder in /proc.
func Read(dir string) (p Process, err error) {
	path := dir + "/stat"
	data, err := os.ReadFile(path)
	if err != nil {
		return p, err
	}
	var s Stat
	if err := s.Parse(data); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return Process{
		Parent: int(s.Parent), Began: int64(s.Start) * (1e9 / ClockTicks), StartCode: s.StartCode, StartStack: s.StartStack,
	}, nil
}
