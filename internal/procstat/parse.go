// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package procstat

import (
	"bytes"
	"errors"
	"fmt"
)

// ClockTicks is the number of ticks in a second in which /proc counts, on all architectures that gizmo runs on.
const ClockTicks = 100

// Stat is what the kernel says of a process in its file stat. What gizmo may not know is 0 or 1.
type Stat struct {
	// Comm is the name. It is a part of the text that was parsed.
	Comm   []byte
	State  byte
	Parent int32
	// User and System are the processor time in ticks.
	User, System   uint64
	Priority, Nice int64
	Threads        int64
	// Start is when the process started, in ticks since boot.
	Start uint64
	// Virtual is in bytes, Resident in pages.
	Virtual, Resident uint64
	// StartCode and StartStack are where the code of the program and its stack begin in memory.
	StartCode, StartStack uint64
}

// The numbers of fields, as the documentation of /proc counts them.
const (
	fieldState   = 3
	fieldParent  = 4
	fieldStart   = 22
	mostFields   = 28
	fieldsNeeded = fieldStart
)

var errStat = errors.New("not the file stat of a process")

// Parse reads the text of the file. The name may hold anything.
func (s *Stat) Parse(text []byte) error {
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return errStat
	}
	var values [mostFields + 1]uint64
	rest := bytes.TrimLeft(text[end+1:], " ")
	if len(rest) == 0 {
		return errStat
	}
	state, rest := rest[0], rest[1:]
	n := fieldState
	for n < mostFields {
		rest = bytes.TrimLeft(rest, " \n")
		if len(rest) == 0 {
			break
		}
		n++
		var ok bool
		if values[n], rest, ok = number(rest); !ok {
			return fmt.Errorf("%w: field %d is not a number", errStat, n)
		}
	}
	if n < fieldsNeeded {
		return fmt.Errorf("%w: it has %d fields", errStat, n)
	}
	*s = Stat{
		Comm: text[begin+1 : end], State: state, Parent: int32(values[fieldParent]),
		User: values[14], System: values[15], Priority: int64(values[18]), Nice: int64(values[19]), Threads: int64(values[20]),
		Start: values[fieldStart], Virtual: values[23], Resident: values[24], StartCode: values[26], StartStack: values[28],
	}
	return nil
}

// number reads a whole number at the beginning of text, of which a negative one is two's complement, and returns what follows.
func number(text []byte) (v uint64, rest []byte, ok bool) {
	i := 0
	negative := text[0] == '-'
	if negative {
		i++
	}
	first := i
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		v = v*10 + uint64(text[i]-'0')
	}
	if i == first || i < len(text) && text[i] != ' ' && text[i] != '\n' {
		return 0, nil, false
	}
	if negative {
		v = -v
	}
	return v, text[i:], true
}
