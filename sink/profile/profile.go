// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package profile makes profiles of the stacks of events, and writes them in the formats of profilers.
//
// A [Sink] adds up the events of one data source by their stacks and labels. Its [Profile] is written by one of
// [Formats]; [Diff] compares two profiles.
package profile

import (
	"cmp"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// Profile is events, added up by their stacks and labels.
type Profile struct {
	Name string
	// Types describe the values of samples. There is at least one.
	Types []ValueType
	// Default is the index in Types of the values that are shown if the user chooses none, and of those in formats that have only one.
	Default int
	// Period is the CPU time, in nanoseconds, between two samples; 0: events are not samples of time.
	Period int64
	// Start is when the run began, Duration how long it took. Zero: unknown.
	Start    time.Time
	Duration time.Duration
	// Samples are in an order that depends only on them.
	Samples []Sample
}

// ValueType says what a value is: "cpu" in "nanoseconds".
type ValueType struct{ Type, Unit string }

// Sample is the events with the same stacks and labels.
type Sample struct {
	// Stack is the calls, the innermost first. It has at least one.
	Stack []*Frame
	// Roots are frames for flame graphs, the outermost first, that call the stack.
	Roots []string
	// Labels are in the order of the fields.
	Labels []Label
	// Values has an element for each of Profile.Types.
	Values []int64
}

// Frame is a call in a stack. Frames with equal contents are the same.
type Frame struct {
	// Module is nil if it is unknown.
	Module *symbol.Module
	// Address is in the module's own address space: the instruction of the innermost call, and, of its callers, a byte of the
	// instruction that calls.
	Address uint64
	// Function is nil if the address has no name.
	Function *symbol.Function
	// Lines are the lines of source, if they are known: of the calls that the compiler inlined there, the innermost first, and last of Function
	// itself. They must not be changed.
	Lines []symbol.Line
}

// Label is a fact about the events of a sample.
type Label struct {
	Key string
	// Text is the value of a label that is text; otherwise the value is Number, in Unit, which may be empty.
	Text     string
	IsNumber bool
	Number   int64
	Unit     string
}

// The frames that stand for what is not known.
const (
	// NoStack is the frame of events without a stack.
	NoStack = "[no stack]"
	// Truncated is the caller of the outermost frame if there were more.
	Truncated = "[truncated]"
)

// Name is what people call the frame: the function, or the file and the address in it.
func (f *Frame) Name() string {
	if f.Function != nil {
		return f.Function.Name
	}
	l := symbol.Location{Module: f.Module, Address: f.Address}
	return string(l.AppendName(nil))
}

// isKernel reports whether the frame is code of the kernel.
func (f *Frame) isKernel() bool { return f.Module != nil && f.Module.Kernel }

// Total returns the sum of the values of one of Types.
func (p *Profile) Total(index int) int64 {
	var sum int64
	for i := range p.Samples {
		sum = addTo(sum, p.Samples[i].Values[index])
	}
	return sum
}

// sort orders the samples by their contents.
func (p *Profile) sort() {
	slices.SortFunc(p.Samples, func(a, b Sample) int {
		return cmp.Or(
			slices.Compare(a.Roots, b.Roots),
			slices.CompareFunc(a.Stack, b.Stack, compareFrames),
			slices.CompareFunc(a.Labels, b.Labels, compareLabels))
	})
}

func compareFrames(a, b *Frame) int {
	if a == b {
		return 0
	}
	return cmp.Or(
		compareModules(a.Module, b.Module),
		cmp.Compare(a.Address, b.Address),
		cmp.Compare(a.Name(), b.Name()),
		cmp.Compare(systemName(a), systemName(b)))
}

func systemName(f *Frame) string {
	if f.Function == nil {
		return ""
	}
	return f.Function.System
}

func compareModules(a, b *symbol.Module) int {
	switch {
	case a == b:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Compare(b)
}

func compareLabels(a, b Label) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Number, b.Number))
}
