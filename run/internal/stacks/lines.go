// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"time"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

const (
	// linesTimeout bounds how much longer a run takes because of lines of source.
	linesTimeout = 30 * time.Second
	// maxComplaints is how many files gizmo names whose lines are not complete.
	maxComplaints = 5
)

// NotePlaces notes a stack whose lines of source FindLines is to find. It may be called from several goroutines at once. It does nothing for nil.
func (st *Stacks) NotePlaces(s *symbol.Stack) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.places.Add(s)
}

// FindLines finds the lines of source of the stacks that were noted, once the run has ended. It says in the log what is missing.
func (st *Stacks) FindLines() *symbol.Lines {
	known := new(symbol.Lines)
	if st == nil {
		return known
	}
	began := time.Now()
	found := st.resolver.Lines(&st.places, known, began.Add(linesTimeout))
	st.log.Debug("found lines of source", "files", found.Files, "with lines", found.With, "took", time.Since(began).Round(time.Millisecond))
	for i, err := range found.Errors {
		if i == maxComplaints {
			st.log.Warn("lines of source are missing in further files", "files", len(found.Errors)-i)
			break
		}
		st.log.Warn("lines of source are missing", "reason", err)
	}
	if st.places.Full() {
		st.log.Warn("lines of source are missing: the stacks have too many addresses")
	}
	switch {
	case found.With > 0 || len(found.Errors) > 0:
	case found.Files == 0:
		st.log.Warn("there are no lines of source: no stack has code of a file")
	default:
		st.log.Warn("there are no lines of source: none of the files on the stacks has debug information", "files", found.Files)
	}
	return known
}
