// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package targets parses the targets of programs for user space, PATH:SYMBOL or
// PATH:PROVIDER:NAME, and finds the files that PATH means.
package targets

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxText is the longest target, in bytes. Names of C++ functions can be long.
const maxText = 8 << 10

// Function is a place in a function of a program or library.
type Function struct {
	// File is an absolute path, or the short name of a library ("libc") or a program ("bash").
	File string
	// Symbol is the function's name or its address, "0x1234".
	Symbol string
	// Offset is the number of bytes after the function's start.
	Offset uint64
}

// Probe is a static probe of a program or library.
type Probe struct{ File, Provider, Name string }

// ParseFunction reads PATH:SYMBOL or PATH:SYMBOL+OFFSET.
func ParseFunction(text string) (*Function, error) {
	file, rest, err := splitFile(text, "PATH:SYMBOL")
	if err != nil {
		return nil, err
	}
	f := &Function{File: file, Symbol: rest}
	// A plus sign may be a part of the name, too.
	if i := strings.LastIndexByte(rest, '+'); i > 0 {
		if n, err := strconv.ParseUint(rest[i+1:], 0, 64); err == nil {
			f.Symbol, f.Offset = rest[:i], n
		}
	}
	return f, nil
}

// ParseProbe reads PATH:PROVIDER:NAME.
func ParseProbe(text string) (*Probe, error) {
	const form = "PATH:PROVIDER:NAME"
	file, rest, err := splitFile(text, form)
	if err != nil {
		return nil, err
	}
	provider, name, ok := strings.Cut(rest, ":")
	if !ok || provider == "" || name == "" || strings.Contains(name, ":") {
		return nil, fmt.Errorf("target %q: want %s", text, form)
	}
	return &Probe{File: file, Provider: provider, Name: name}, nil
}

// splitFile cuts the file off, which ends at the first colon.
func splitFile(text, form string) (file, rest string, err error) {
	switch {
	case text == "":
		return "", "", fmt.Errorf("it names no target: want %s in the section's name or attach_to in gadget.yaml", form)
	case len(text) > maxText:
		return "", "", errors.New("its target is too long")
	case strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return "", "", fmt.Errorf("target %q: it has control characters", text)
	}
	file, rest, ok := strings.Cut(text, ":")
	if !ok || file == "" || rest == "" {
		return "", "", fmt.Errorf("target %q: want %s", text, form)
	}
	if file[0] != '/' && strings.Contains(file, "/") {
		return "", "", fmt.Errorf("target %q: the path is not absolute (an absolute one makes two slashes in the name of the section, "+
			"as in uprobe//usr/bin/bash:readline)", text)
	}
	return file, rest, nil
}
