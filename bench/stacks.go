// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// tally is what the stacks of one process say.
type tally struct {
	samples float64
	frames  float64
	named   float64 // of the frames, those with the name of a function
	whole   float64 // of the samples, those whose stack goes back to main
}

// tallies has one for each name of a process.
type tallies map[string]tally

// add counts a stack that was seen some times.
func (all tallies) add(comm string, frames []string, times float64) {
	t := all[comm]
	whole := false
	for _, frame := range frames {
		t.frames += times
		if isName(frame) {
			t.named += times
		}
		whole = whole || isStart(frame)
	}
	t.samples += times
	if whole {
		t.whole += times
	}
	all[comm] = t
}

// isName reports whether a frame has a name and not the place only: 0x7f12, libc.so.6+0x27249, [unknown], [truncated].
func isName(frame string) bool {
	return frame != "" && frame[0] != '[' && !strings.HasPrefix(frame, "0x") && !strings.Contains(frame, "+0x")
}

// isStart reports whether a frame is that of main. Python's is called by it at once, and not all symbol tables have main.
func isStart(frame string) bool { return frame == "main" || frame == "Py_BytesMain" }

// parseStacks reads what a program wrote about stacks, in one of the formats that tools.yaml lists.
func parseStacks(format string, text []byte, frequency int) (tallies, error) {
	switch format {
	case "folded":
		return parseFolded(text, 1)
	case "folded-time":
		return parseFolded(text, 1e9/float64(frequency))
	case "bpftrace":
		return parseBpftrace(text)
	case "perf":
		return parsePerf(text)
	}
	return nil, fmt.Errorf("there is no format of stacks %q", format)
}

// parseFolded reads lines of a process, its frames from the outermost to the innermost, and a value; unit is the
// value of one sample.
func parseFolded(out []byte, unit float64) (tallies, error) {
	all := tallies{}
	for line := range bytes.Lines(out) {
		text := strings.TrimSuffix(string(line), "\n")
		end := strings.LastIndexByte(text, ' ')
		if end < 0 {
			continue
		}
		value, err := strconv.ParseFloat(text[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: want a stack and a number", text)
		}
		comm, stack, _ := strings.Cut(text[:end], ";")
		all.add(comm, strings.Split(stack, ";"), value/unit)
	}
	return all, nil
}

// parseBpftrace reads the map @[ustack, kstack, comm] = count(): frames are lines of their own with an offset.
func parseBpftrace(out []byte) (tallies, error) {
	all := tallies{}
	var frames []string
	for line := range bytes.Lines(out) {
		text := strings.TrimSpace(string(line))
		if rest, begins := strings.CutPrefix(text, "@["); begins {
			text, frames = rest, nil
		}
		// The stack of the process, that of the kernel or both may be empty.
		text = strings.TrimLeft(text, ", ")
		comm, value, last := strings.Cut(text, "]: ")
		switch {
		case last:
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, fmt.Errorf("%q: want a process and a number", text)
			}
			all.add(comm, frames, n)
			frames = nil
		case text != "":
			name, offset, found := strings.Cut(text, "+")
			if _, err := strconv.Atoi(offset); found && err != nil {
				name = text
			}
			frames = append(frames, name)
		}
	}
	return all, nil
}

// parsePerf reads what perf script writes with -F comm,ip,sym: the process, a line for each frame with an address and
// a name, and an empty line.
func parsePerf(out []byte) (tallies, error) {
	all := tallies{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	comm, frames := "", []string(nil)
	end := func() {
		if comm != "" {
			all.add(comm, frames, 1)
		}
		comm, frames = "", nil
	}
	for lines.Scan() {
		text := lines.Text()
		trimmed := strings.TrimSpace(text)
		switch {
		case trimmed == "":
			end()
		case comm == "":
			comm = trimmed
		default:
			_, name, _ := strings.Cut(trimmed, " ")
			frames = append(frames, name)
		}
	}
	end()
	return all, lines.Err()
}
