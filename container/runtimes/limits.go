// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Limits for what gizmo keeps of the runtimes' answers. Users of the runtimes choose names and labels.
const (
	maxText   = 4 << 10  // of a name or the value of a label
	maxLabels = 64 << 10 // of all labels of a container
	maxPID    = 1 << 22  // PID_MAX_LIMIT
)

// validPID returns n as a process id; 0 if n is none.
func validPID(n uint64) int {
	if n > maxPID {
		return 0
	}
	return int(n)
}

// inParallel calls do for each number below n, several at once.
func inParallel(n int, do func(int)) {
	const atOnce = 8
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(n, atOnce) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

// clip returns s without bytes that are not UTF-8, cut to maxText bytes.
func clip(s string) string {
	s = s[:min(len(s), maxText+utf8.UTFMax)]
	s = strings.ToValidUTF8(s, "\uFFFD") // which may be longer
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end]) // so that the rest can be freed
}

// labels collects labels up to the limits. It skips a label with a key longer than maxText, and all labels after
// maxLabels bytes; it cuts a longer value.
type labels struct {
	of   map[string]string
	size int
}

// known returns the labels; an empty map, not nil, if the container has none.
func (l *labels) known() map[string]string {
	if l.of == nil {
		return map[string]string{}
	}
	return l.of
}

func (l *labels) add(key, value string) {
	key, value = strings.ToValidUTF8(key, "\uFFFD"), clip(value)
	if len(key) > maxText || l.size+len(key)+len(value) > maxLabels {
		return
	}
	if l.of == nil {
		l.of = make(map[string]string)
	}
	l.size += len(key) + len(value)
	l.of[key] = value
}
