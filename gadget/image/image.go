// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/btfschema"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// Image describes a gadget, from its object, if it has one, and its metadata. It is immutable, and may be loaded any number
// of times. It need not have a data source: another part of the program may use the gadget and
// read its maps.
type Image struct {
	Metadata    *metadata.Metadata
	DataSources []DataSource
	Params      []Param
	Programs    []Program
	// Compiler is the compiler that made the object, as it describes itself, in characters that are safe to show: "Debian clang version
	// 14.0.6". It is empty if the object does not name it.
	Compiler string

	spec    *ebpf.CollectionSpec
	markers []marker
}

// DataSource is one kind of events that a gadget produces.
type DataSource struct {
	Kind SourceKind
	// Schema holds the fields of the record, without those that enriched types add.
	Schema *event.Schema
	// Annotations are those of the metadata.
	Annotations *annotation.Spec
	// Settings are the data source's own annotations, typed.
	Settings annotation.Source
	// Map is the buffer, or the map that is iterated. Empty for iterators.
	Map string
	// Iterators names the programs that write an iterator's records.
	Iterators []string
	// BuiltIn says what gizmo fills a built-in data source with, and how.
	BuiltIn BuiltInSource
}

// SourceKind tells where the records of a data source come from.
type SourceKind uint8

// The kinds of data sources.
const (
	Tracer      SourceKind = iota // single events, from a ring or perf buffer
	MapIterator                   // arrays, read from a hash map at intervals
	Iterator                      // arrays, written by iter programs
	BuiltIn                       // arrays, which gizmo fills without a program
)

var sourceKindNames = [...]string{"tracer", "map iterator", "iterator", "built-in"}

// String returns the kind in words.
func (k SourceKind) String() string { return sourceKindNames[k] }

// Parse analyses an object. The metadata may be nil. A gadget that has only built-in data sources, which its metadata names, has no object:
// nil.
func Parse(object io.ReaderAt, meta *metadata.Metadata) (*Image, error) {
	if object == nil {
		return withoutObject(meta)
	}
	spec, compiler, err := readObject(object)
	if err != nil {
		return nil, fmt.Errorf("gadget object: %w", err)
	}
	markers, err := findMarkers(spec.Types)
	if err != nil {
		return nil, fmt.Errorf("gadget object: %w", err)
	}
	if meta == nil {
		meta = &metadata.Metadata{}
	}
	return analyse(&Image{Metadata: meta, Compiler: compiler, spec: spec, markers: markers})
}

// WithMetadata returns the image of the same object with other metadata.
func (img *Image) WithMetadata(meta *metadata.Metadata) (*Image, error) {
	return analyse(&Image{Metadata: meta, Compiler: img.Compiler, spec: img.spec, markers: img.markers})
}

// analyse combines the contents of object and metadata. It only reads the spec.
func analyse(img *Image) (*Image, error) {
	img.Programs = programsOf(img.spec, img.Metadata)
	for _, m := range img.markers {
		if err := img.apply(m); err != nil {
			return nil, fmt.Errorf("gadget object: marker %s: %w", m.variable, err)
		}
	}
	img.addPacketFilters()
	if err := img.addBuiltIns(); err != nil {
		return nil, err
	}
	if err := img.applyMetadata(); err != nil {
		return nil, err
	}
	return img, nil
}

func (img *Image) apply(m marker) error {
	switch m.kind {
	case markTracer:
		return img.addTracer(m.parts[0], m.parts[1], m.parts[2])
	case markMapIter:
		return img.addMapIterator(m.parts[0], m.parts[1])
	case markIter:
		return img.addIterator(m.parts[0], m.parts[1], m.parts[2:])
	case markParam:
		return img.addParam(m.parts[0])
	case markBuffer:
		return img.mustHaveMap(m.parts[0])
	case markIterTarget:
		return img.setIterMap(m.parts[0], m.parts[1])
	case markSockTarget:
		return img.setSockMap(m.parts[0], m.parts[1])
	case markPrefer:
		return img.addPreference(m.parts[0], m.parts[1])
	case markLoadIf:
		return img.addCondition(m.parts[0], m.parts[1], func(p *Program) *[]string { return &p.LoadIf })
	case markTryIf:
		return img.addCondition(m.parts[0], m.parts[1], func(p *Program) *[]string { return &p.TryIf })
	}
	return nil
}

func (img *Image) addTracer(name, mapName, typeName string) error {
	if err := img.mustHaveMap(mapName); err != nil {
		return err
	}
	if err := img.checkBuffer(mapName); err != nil {
		return err
	}
	record, err := img.structType(typeName)
	if err != nil {
		return err
	}
	return img.addSource(DataSource{Kind: Tracer, Map: mapName}, name, record)
}

// checkBuffer fails unless the map can be read as a data source's buffer.
func (img *Image) checkBuffer(name string) error {
	switch t := img.spec.Maps[name].Type; t {
	case ebpf.RingBuf, ebpf.PerfEventArray:
	default:
		return fmt.Errorf("map %q has the type %s; events come from a RingBuf or PerfEventArray", name, t)
	}
	for _, d := range img.DataSources {
		if d.Kind == Tracer && d.Map == name {
			return fmt.Errorf("map %q is already the buffer of data source %q; gizmo can read a record only once", name, d.Schema.Name)
		}
	}
	lost := name + LostSuffix
	if m, ok := img.spec.Maps[lost]; ok && (m.Type != ebpf.PerCPUArray || m.KeySize != 4 || m.ValueSize != 8) {
		return fmt.Errorf("map %q has the type %s; lost events are counted in a PerCPUArray of one __u64", lost, m.Type)
	}
	return nil
}

// LostSuffix is appended to the name of a buffer to get the name of the map that counts its lost events.
const LostSuffix = "_lost_samples"

func (img *Image) addMapIterator(name, mapName string) error {
	if err := img.mustHaveMap(mapName); err != nil {
		return err
	}
	if err := img.checkIterated(mapName); err != nil {
		return err
	}
	m := img.spec.Maps[mapName]
	return img.addSource(DataSource{Kind: MapIterator, Map: mapName}, name, m.Key, m.Value)
}

func (img *Image) addIterator(name, typeName string, programs []string) error {
	record, err := img.structType(typeName)
	if err != nil {
		return err
	}
	for i, p := range programs {
		if err := img.mustHaveProgram(p); err != nil {
			return err
		}
		if section := img.spec.Programs[p].SectionName; !isIterSection(section) {
			return fmt.Errorf("program %q is in section %q; arrays are written by programs in sections like iter/task", p, section)
		}
		if slices.Contains(programs[:i], p) {
			return fmt.Errorf("program %q is named twice; each of its records would come twice", p)
		}
	}
	return img.addSource(DataSource{Kind: Iterator, Iterators: programs}, name, record)
}

// setIterMap sets the map that an iter program walks.
func (img *Image) setIterMap(program, mapName string) error {
	if err := errors.Join(img.mustHaveProgram(program), img.mustHaveMap(mapName)); err != nil {
		return err
	}
	p := img.Program(program)
	if p.IterMap != "" && p.IterMap != mapName {
		return fmt.Errorf("program %q already walks the map %q", program, p.IterMap)
	}
	p.IterMap = mapName
	return nil
}

func (img *Image) addSource(d DataSource, name string, record ...btf.Type) (err error) {
	if _, ok := img.DataSource(name); ok {
		return fmt.Errorf("two data sources have the name %q", name)
	}
	if d.Schema, err = btfschema.New(name, d.Kind == Tracer, record...); err != nil {
		return err
	}
	img.DataSources = append(img.DataSources, d)
	return nil
}

func (img *Image) addParam(variable string) error {
	p, err := newParam(img.spec, variable)
	if err != nil {
		return err
	}
	img.Params = append(img.Params, p)
	return nil
}

func (img *Image) structType(name string) (btf.Type, error) {
	var t *btf.Struct
	err := img.spec.Types.TypeByName(name, &t)
	switch {
	case errors.Is(err, btf.ErrNotFound):
		return nil, fmt.Errorf("the object has no struct %q%s", name, nearest.Hint(name, structNames(img.spec.Types)))
	case err != nil:
		return nil, fmt.Errorf("struct %q: %w", name, err)
	}
	return t, nil
}

// isIterSection reports whether programs of a section write arrays.
func isIterSection(section string) bool {
	kind, _, _ := strings.Cut(section, "/")
	return kind == "iter" || kind == "iter.s"
}

// structNames lists the object's structs, for hints.
func structNames(types *btf.Spec) []string {
	var names []string
	for t, err := range types.All() {
		if err != nil {
			return nil
		}
		if s, ok := t.(*btf.Struct); ok && s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

func (img *Image) mustHaveMap(name string) error {
	if _, ok := img.spec.Maps[name]; ok {
		return nil
	}
	return fmt.Errorf("the object has no map %q%s", name, nearest.Hint(name, slices.Sorted(maps.Keys(img.spec.Maps))))
}

func (img *Image) mustHaveProgram(name string) error {
	if _, ok := img.spec.Programs[name]; ok {
		return nil
	}
	return fmt.Errorf("the object has no program %q%s", name, nearest.Hint(name, slices.Sorted(maps.Keys(img.spec.Programs))))
}

// DataSource returns the data source with the given name.
func (img *Image) DataSource(name string) (*DataSource, bool) {
	for i := range img.DataSources {
		if img.DataSources[i].Schema.Name == name {
			return &img.DataSources[i], true
		}
	}
	return nil, false
}

// Program returns the program with the given name, or nil.
func (img *Image) Program(name string) *Program {
	i := slices.IndexFunc(img.Programs, func(p Program) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &img.Programs[i]
}

// Param returns the param whose key or variable is name.
func (img *Image) Param(name string) (*Param, bool) {
	for i := range img.Params {
		if p := &img.Params[i]; p.Key == name || p.Var == name {
			return p, true
		}
	}
	return nil, false
}
