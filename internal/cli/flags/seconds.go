// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"time"

	"github.com/gizmo-ebpf/gizmo/run"
)

// Seconds is a duration given as a number of seconds or in Go's notation.
type Seconds time.Duration

// String returns it in Go's notation.
func (s *Seconds) String() string { return time.Duration(*s).String() }

// Type returns the name of the values for the help.
func (s *Seconds) Type() string { return "SECONDS" }

// Set parses a value.
func (s *Seconds) Set(text string) error {
	d, err := run.ParseSeconds(text)
	if err == nil {
		*s = Seconds(d)
	}
	return err
}
