// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// Symbols holds the entries of the kernel's list of symbols for the name of a function.
type Symbols struct {
	// Found are the symbols of exactly that name. Several static functions may have the same name.
	Found []symbol
	// Made are functions that the compiler made of it, with other arguments maybe: "NAME.isra.0".
	Made []string
	// Near is the function whose name is most like it; empty where none is.
	Near string
}

// symbol is one of the kernel's symbols.
type symbol struct {
	kind   byte   // as nm prints it
	module string // empty for symbols of the kernel itself
}

// isCode reports whether the symbol is a function, not a variable.
func (s symbol) isCode() bool { return strings.IndexByte("tTwW", s.kind) >= 0 }

// The limits of what is kept of a list of symbols, which may be long and contain anything.
const (
	maxFound = 32
	maxMade  = 8
)

// Symbols reads the kernel's symbols: some megabytes, which the kernel formats for the reader. So it is
// called only to explain errors. It ignores the prefix of names that have it.
func (k *Kernel) Symbols(function, prefix string) (*Symbols, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadSymbols(f, function, prefix)
}

// ReadSymbols reads a list of symbols in the form of /proc/kallsyms.
func ReadSymbols(r io.Reader, function, prefix string) (*Symbols, error) {
	var all Symbols
	near := nearestName{want: function}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, s, ok := parseSymbol(lines.Bytes())
		if !ok {
			continue
		}
		name = bytes.TrimPrefix(name, []byte(prefix))
		all.add(name, s, function)
		if s.isCode() {
			near.add(name)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the kernel's symbols: %w", err)
	}
	all.Near = near.result()
	return &all, nil
}

// parseSymbol parses a line: "ffffffff81000000 t name", optionally followed by "\t[module]".
func parseSymbol(line []byte) (name []byte, s symbol, ok bool) {
	_, line, _ = bytes.Cut(line, []byte(" "))
	kind, line, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(kind) != 1 {
		return nil, symbol{}, false
	}
	name, module, _ := bytes.Cut(line, []byte("\t"))
	s.kind = kind[0]
	if len(module) > 0 {
		s.module = string(bytes.Trim(module, "[] "))
	}
	return name, s, len(name) > 0
}

func (all *Symbols) add(name []byte, s symbol, function string) {
	rest, ok := bytes.CutPrefix(name, []byte(function))
	switch {
	case !ok:
	case len(rest) == 0:
		if len(all.Found) < maxFound {
			all.Found = append(all.Found, s)
		}
	case rest[0] == '.' && s.isCode() && !bytes.Contains(rest, []byte(".cold")): // those are mere parts
		if len(all.Made) < maxMade {
			all.Made = append(all.Made, string(name))
		}
	}
}

// IsFunction reports whether there is a function of the name.
func (all *Symbols) IsFunction() bool {
	for _, s := range all.Found {
		if s.isCode() {
			return true
		}
	}
	return false
}

// Module returns the module that the function belongs to, or "".
func (all *Symbols) Module() string {
	for _, s := range all.Found {
		if s.isCode() {
			return s.module
		}
	}
	return ""
}

// Absence says why there is no such function.
func (all *Symbols) Absence(function string) string {
	switch {
	case len(all.Found) > 0:
		return fmt.Sprintf("%s is a variable of this kernel, not a function", function)
	case len(all.Made) > 0:
		return fmt.Sprintf("this kernel has no function %s: the compiler replaced it with %s, which may have other arguments",
			function, strings.Join(all.Made, ", "))
	}
	hint := ""
	if all.Near != "" {
		hint = fmt.Sprintf("; did you mean %q?", all.Near)
	}
	return fmt.Sprintf("this kernel has no function %s: it may be inlined into its callers, or be part of a module that is not loaded "+
		"(/proc/kallsyms lists the functions there are)%s", function, hint)
}

// SyscallPrefix returns the prefix of the functions of system calls, before sys_NAME. The name without the prefix
// is accepted, too. The prefix is empty for other functions.
func SyscallPrefix(function string) string {
	if !strings.HasPrefix(function, "sys_") {
		return ""
	}
	switch runtime.GOARCH {
	case "amd64":
		return "__x64_"
	case "arm64":
		return "__arm64_"
	}
	return ""
}

// nearestName finds the most similar one of very many names. It keeps only a few of them at a time.
type nearestName struct {
	want string
	best string
	some []string
}

// slips is the number of letters by which the lengths of names may differ that are alike.
const slips = 3

func (n *nearestName) add(name []byte) {
	if d := len(name) - len(n.want); d > slips || d < -slips || string(name) == n.want {
		return
	}
	n.some = append(n.some, string(name))
	if len(n.some) == 1024 {
		n.compare()
	}
}

func (n *nearestName) compare() {
	candidates := append([]string{n.best}, n.some...)
	n.best, _ = nearest.Name(n.want, candidates)
	n.some = n.some[:0]
}

func (n *nearestName) result() string {
	n.compare()
	return n.best
}
