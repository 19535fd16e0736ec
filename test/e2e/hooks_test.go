// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// hook is where a program of a gadget is attached.
type hook struct {
	program string
	kind    string // "kprobe"
	target  string // "vfs_read"
	// optional: the gadget does without the program where the kernel cannot run it.
	optional bool
}

// gadgetHooks are the hooks of a gadget in one run.
type gadgetHooks struct {
	hooks []hook
	// standIns are, for a program, those that take its place where the kernel cannot run it.
	standIns map[string][]string
}

// missing returns the hooks that keep a gadget from running on a kernel: those that the kernel lacks,
// and that the hook of no other program can replace.
func (g *gadgetHooks) missing(offers func(hook) bool) []hook {
	var list []hook
	for _, h := range g.hooks {
		if !h.optional && !slices.ContainsFunc(g.alternatives(h.program), offers) {
			list = append(list, h)
		}
	}
	return list
}

// alternatives returns the hooks of a program, its stand-ins, and the programs that it
// stands in for: one of these hooks is enough.
func (g *gadgetHooks) alternatives(program string) []hook {
	worse, better := []string{program}, []string{program}
	for i := 0; i < len(worse); i++ {
		worse = append(worse, g.standIns[worse[i]]...)
	}
	for i := 0; i < len(better); i++ {
		for name, standIns := range g.standIns {
			if slices.Contains(standIns, better[i]) {
				better = append(better, name)
			}
		}
	}
	return g.of(append(worse, better...))
}

// of returns the hooks of the programs with these names. The kernel cuts names.
func (g *gadgetHooks) of(programs []string) []hook {
	var list []hook
	for _, h := range g.hooks {
		if slices.ContainsFunc(programs, func(p string) bool { return p == h.program || p == kernelName(h.program) }) {
			list = append(list, h)
		}
	}
	return list
}

// programs returns the names of the programs.
func (g *gadgetHooks) programs() []string {
	var names []string
	for _, h := range g.hooks {
		names = append(names, h.program)
	}
	return names
}

// summary writes hooks for people: "kprobe/a b c, iter/task".
func summary(hooks []hook) string {
	const some = 5 // hooks of one kind
	targets := make(map[string][]string)
	for _, h := range hooks {
		targets[h.kind] = append(targets[h.kind], h.target)
	}
	var texts []string
	for _, kind := range slices.Sorted(maps.Keys(targets)) {
		list := targets[kind]
		slices.Sort(list)
		list = slices.Compact(list)
		text := kind + "/" + strings.Join(list[:min(some, len(list))], " ")
		if more := len(list) - some; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		texts = append(texts, strings.TrimSuffix(text, "/"))
	}
	return strings.Join(texts, ", ")
}
