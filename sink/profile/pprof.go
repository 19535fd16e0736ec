// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"io"
	"slices"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// The fields of the messages in pprof's profile.proto.
const (
	profileSampleType, profileSample, profileMapping, profileLocation, profileFunction, profileString = 1, 2, 3, 4, 5, 6
	profileTime, profileDuration, profilePeriodType, profilePeriod, profileComment, profileDefault    = 9, 10, 11, 12, 13, 14

	typeType, typeUnit                           = 1, 2
	sampleLocations, sampleValues, sampleLabel   = 1, 2, 3
	labelKey, labelText, labelNumber, labelUnit  = 1, 2, 3, 4
	mappingID, mappingStart, mappingLimit        = 1, 2, 3
	mappingOffset, mappingFile, mappingBuildID   = 4, 5, 6
	mappingHasFunctions, mappingHasFiles         = 7, 8
	mappingHasLines, mappingHasInlined           = 9, 10
	locationID, locationMapping, locationAddress = 1, 2, 3
	locationLine, lineFunction, lineNumber       = 4, 1, 2
	functionID, functionName, functionSystem     = 1, 2, 3
	functionFile, functionStart                  = 4, 5
)

// writePprof writes the profile as pprof reads it: a message of protocol buffers, packed by gzip.
func writePprof(w io.Writer, p *Profile) error {
	out := bufio.NewWriterSize(w, pieceSize)
	packed := gzip.NewWriter(out)
	err := newPprof(p).write(packed)
	return cmp.Or(err, packed.Close(), out.Flush())
}

// pprof is a profile with numbers in place of pointers.
type pprof struct {
	*Profile
	strings   map[string]uint64
	list      []string
	modules   map[*symbol.Module]uint64
	functions map[pprofFunction]uint64
	frames    map[*Frame]uint64
	// The same in the order of their numbers, which begin at 1.
	moduleList   []*symbol.Module
	functionList []pprofFunction
	frameList    []*Frame
	// known is what is known of frames of a module.
	known map[*symbol.Module]*knowledge
}

// pprofFunction is a function in one of the files that its code comes from.
type pprofFunction struct {
	name, system, file uint64 // in the list of texts
	start              int
}

// knowledge says of a module whether some of its frames have names, files, lines and inlined calls.
type knowledge struct{ names, files, lines, inlined bool }

func newPprof(p *Profile) *pprof {
	e := &pprof{
		Profile: p, strings: map[string]uint64{"": 0}, list: []string{""},
		modules: make(map[*symbol.Module]uint64), functions: make(map[pprofFunction]uint64),
		frames: make(map[*Frame]uint64), known: make(map[*symbol.Module]*knowledge),
	}
	weights := make(map[*symbol.Module]int64)
	for i := range p.Samples {
		for _, f := range p.Samples[i].Stack {
			if e.frames[f] == 0 {
				e.frames[f] = number(&e.frameList, f)
				e.addFunctions(f)
			}
			if f.Module != nil {
				weights[f.Module] = addTo(weights[f.Module], p.Samples[i].Values[p.Default])
			}
		}
	}
	for m := range weights {
		e.moduleList = append(e.moduleList, m)
	}
	slices.SortFunc(e.moduleList, func(a, b *symbol.Module) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(weights[b], weights[a]), compareModules(a, b))
	})
	for i, m := range e.moduleList {
		e.modules[m] = uint64(i + 1)
	}
	return e
}

// addFunctions gives the functions of a frame their numbers.
func (e *pprof) addFunctions(f *Frame) {
	k := e.known[f.Module]
	if k == nil {
		k = new(knowledge)
		e.known[f.Module] = k
	}
	k.inlined = k.inlined || len(f.Lines) > 1
	e.eachLine(f, func(of pprofFunction, line int) {
		if e.functions[of] == 0 {
			e.functions[of] = number(&e.functionList, of)
		}
		k.names, k.files, k.lines = true, k.files || of.file != 0, k.lines || line != 0
	})
}

// eachLine calls do for the lines of a frame, the innermost first: without debug information for its function, if it has a name.
func (e *pprof) eachLine(f *Frame, do func(of pprofFunction, line int)) {
	if len(f.Lines) == 0 && f.Function != nil {
		do(e.function(f.Function, "", 0), 0)
	}
	for i, l := range f.Lines {
		function := f.function(i)
		do(e.function(&function, l.File, l.Start), l.Line)
	}
}

func (e *pprof) function(f *symbol.Function, file string, start int) pprofFunction {
	return pprofFunction{e.text(f.Name), e.text(cmp.Or(f.System, f.Name)), e.text(file), start}
}

func number[T any](list *[]T, v T) uint64 {
	*list = append(*list, v)
	return uint64(len(*list))
}

// rank orders modules: pprof calls the profile after the first, so files come before code that has none, and the kernel is last.
func rank(m *symbol.Module) int {
	switch {
	case m.Kernel:
		return 2
	case m.Name == "" || m.Name[0] == '[':
		return 1
	}
	return 0
}

func (e *pprof) text(s string) uint64 {
	n, ok := e.strings[s]
	if !ok {
		n = uint64(len(e.list))
		e.strings[s] = n
		e.list = append(e.list, s)
	}
	return n
}

// write writes the profile in pieces. The table of strings comes last, when all are known.
func (e *pprof) write(w io.Writer) error {
	var m pieces
	m.w = w
	for _, t := range e.Types {
		m.add(profileSampleType, e.valueType(t))
	}
	for i := range e.Samples {
		m.add(profileSample, e.sample(&e.Samples[i]))
	}
	for i, module := range e.moduleList {
		m.add(profileMapping, e.mapping(uint64(i+1), module))
	}
	for i, f := range e.frameList {
		m.add(profileLocation, e.location(uint64(i+1), f))
	}
	for i, f := range e.functionList {
		var function message
		function.uint(functionID, uint64(i+1))
		function.uint(functionName, f.name)
		function.uint(functionSystem, f.system)
		function.uint(functionFile, f.file)
		function.uint(functionStart, uint64(f.start))
		m.add(profileFunction, function)
	}
	if !e.Start.IsZero() {
		m.uint(profileTime, uint64(e.Start.UnixNano()))
	}
	m.uint(profileDuration, uint64(e.Duration))
	if e.Period > 0 {
		m.add(profilePeriodType, e.valueType(ValueType{"cpu", "nanoseconds"}))
		m.uint(profilePeriod, uint64(e.Period))
	}
	if e.Name != "" {
		m.uint(profileComment, e.text(e.Name))
	}
	m.uint(profileDefault, e.text(e.Types[e.Default].Type))
	for _, s := range e.list {
		m.add(profileString, []byte(s))
	}
	return m.end()
}

func (e *pprof) valueType(t ValueType) message {
	var m message
	m.uint(typeType, e.text(t.Type))
	m.uint(typeUnit, e.text(t.Unit))
	return m
}

func (e *pprof) sample(s *Sample) message {
	var m, packed message
	for _, f := range s.Stack {
		packed.varint(e.frames[f])
	}
	m.bytes(sampleLocations, packed)
	packed = packed[:0]
	for _, v := range s.Values {
		packed.varint(uint64(v))
	}
	m.bytes(sampleValues, packed)
	for _, l := range s.Labels {
		var label message
		label.uint(labelKey, e.text(l.Key))
		if l.IsNumber {
			label.uint(labelNumber, uint64(l.Number))
			label.uint(labelUnit, e.text(l.Unit))
		} else {
			label.uint(labelText, e.text(l.Text))
		}
		m.bytes(sampleLabel, label)
	}
	return m
}

func (e *pprof) mapping(id uint64, module *symbol.Module) message {
	var m message
	m.uint(mappingID, id)
	m.uint(mappingStart, module.Start)
	m.uint(mappingLimit, module.Limit)
	m.uint(mappingOffset, module.Offset)
	m.uint(mappingFile, e.text(module.Name))
	m.uint(mappingBuildID, e.text(module.BuildID))
	k := e.known[module]
	m.bool(mappingHasFunctions, k.names)
	m.bool(mappingHasFiles, k.files)
	m.bool(mappingHasLines, k.lines)
	m.bool(mappingHasInlined, k.inlined)
	return m
}

func (e *pprof) location(id uint64, f *Frame) message {
	var m message
	m.uint(locationID, id)
	m.uint(locationMapping, e.modules[f.Module])
	m.uint(locationAddress, f.Address)
	e.eachLine(f, func(of pprofFunction, number int) {
		var line message
		line.uint(lineFunction, e.functions[of])
		line.uint(lineNumber, uint64(number))
		m.bytes(locationLine, line)
	})
	return m
}
