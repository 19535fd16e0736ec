// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package sort puts events into the order of the fields that the user names.
//
// An array is sorted as a whole, by a stage: [NewArrays]. A stream of single events has no end, so its events are
// sorted as they come out of their source: each is held for a window of time, in which events that sort
// before it can still arrive. [NewStreams] wraps sources for that.
//
// Numbers are compared as numbers, text byte by byte. Equal events stay in the order in which they
// came.
package sort

import (
	"fmt"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Options are what the user decides about sorting. The zero value sorts nothing.
type Options struct {
	// Keys are the fields to sort by, for each data source. Data sources without an entry are
	// left in the order in which they come.
	Keys map[event.SourceID][]Key
	// MaxEntries is the largest number of rows of an array; the others are filtered out after
	// sorting. 0: all rows. It does not apply to single events.
	MaxEntries int
	// Window is how long a single event is held. 0: [DefaultWindow].
	Window time.Duration
	// MaxHeld is the number of bytes that the held events of a source may take up together, including their keys and
	// handles. If more come, events leave before their time; an array that needs more is an error. 0: a 16th of the
	// memory that this process may use, but from [MinMaxHeld] to [DefaultMaxHeld].
	MaxHeld int
}

const (
	// DefaultWindow is how long single events are held.
	DefaultWindow = time.Second
	// MinWindow is the shortest window: a process may have to wait longer than that to be scheduled.
	MinWindow = time.Millisecond
	// DefaultMaxHeld is the number of bytes that held events may take up.
	DefaultMaxHeld = 64 << 20
	// MinMaxHeld is the number of bytes that they may take up even if there is little memory.
	MinMaxHeld = 1 << 20
	// memoryShare is the divisor of the memory that they may take up.
	memoryShare = 16
)

// maxHeld returns MaxHeld, or its default for 0.
func (o *Options) maxHeld(available uint64) int {
	if o.MaxHeld > 0 {
		return o.MaxHeld
	}
	return int(min(max(available/memoryShare, MinMaxHeld), DefaultMaxHeld))
}

func (o *Options) check() error {
	switch {
	case o.MaxEntries < 0:
		return fmt.Errorf("max-entries: want the number of rows to keep, or 0 for all, got %d", o.MaxEntries)
	case o.Window != 0 && o.Window < MinWindow:
		return fmt.Errorf("sort-window: want at least %v, got %v", MinWindow, o.Window)
	case o.MaxHeld < 0:
		return fmt.Errorf("held events: want a number of bytes, got %d", o.MaxHeld)
	}
	return nil
}
