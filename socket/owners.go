// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// objects holds the programs, filled by "make build".
//
//go:embed all:objects
var objects embed.FS

// Options are the options of Owners. The zero value is useful.
type Options struct {
	// Fields are the sizes of what is kept only for gadgets that read it.
	Fields Fields
	// MaxSockets is how many sockets can have owners at a time; 0 means DefaultMaxSockets.
	MaxSockets int
	// Types keeps the kernel's types from one load to the next. Nil: Open keeps none.
	Types *btf.Cache
	// Logger gets warnings and debug messages; nil means slog.Default().
	Logger *slog.Logger

	metadata []byte // of the programs, for tests
}

func (o *Options) maxSockets() int { return cmp.Or(o.MaxSockets, DefaultMaxSockets) }

// DefaultMaxSockets is the number of sockets that can have owners if the caller names none. Maps of the kernel take memory for the
// sockets that there are, and 16 bytes for each that there could be.
const DefaultMaxSockets = 128 << 10

// Owners are programs in the kernel that note the owners of sockets. All methods except Close may be called by several goroutines at once.
type Owners struct {
	sizes   sizes
	types   *btf.Spec
	library *library
	maps    map[string]*ebpf.Map // which gadgets share with the programs
	log     *slog.Logger

	loaded chan struct{}  // closed when the programs are attached, or could not be
	gadget *gadget.Gadget // nil: they could not
	err    error

	mu      sync.Mutex // guards what follows
	started bool
	ports   bool // gadget_sockets is filled
}

// Open loads the programs and attaches them in the most exact way that the kernel allows. The caller must Close the owners.
func Open(options *Options) (*Owners, error) { return open(options, ways()) }

// way is a set of programs that notes owners.
type way struct {
	param string // of the programs; empty: only those that there are in every way
	// lacks is what these programs do not see, for a message.
	lacks string
}

// ways lists the ways, the most exact one first.
func ways() []way {
	return []way{
		{param: "use_groups"},
		{param: "use_functions", lacks: "which of several listeners on a port answers"},
		{lacks: "sockets of UDP, and the first packets of connections"},
	}
}

func open(options *Options, ways []way) (*Owners, error) {
	o, err := begin(options, ways)
	if err != nil {
		return nil, err
	}
	if err := o.wait(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// begin makes the maps, so that gadgets can be linked, and loads the programs in the background.
func begin(options *Options, ways []way) (*Owners, error) {
	var all Options
	if options != nil {
		all = *options
	}
	if all.Logger == nil {
		all.Logger = slog.Default()
	}
	if err := gadget.PrepareProcess(); err != nil {
		return nil, err
	}
	o := &Owners{log: all.Logger, sizes: sizes{fields: all.Fields.rounded(), sockets: uint32(all.maxSockets())}, loaded: make(chan struct{})}
	var err error
	if o.types, err = o.sizes.fields.types(); err != nil {
		return nil, err
	}
	if o.library, err = loadLibrary(); err != nil {
		return nil, fmt.Errorf("owners of sockets: %w", err)
	}
	if err := o.makeMaps(); err != nil {
		return nil, fmt.Errorf("owners of sockets: %w", err)
	}
	go func() {
		defer close(o.loaded)
		o.err = o.attachOne(&all, ways)
	}()
	return o, nil
}

// wait returns when the programs are attached.
func (o *Owners) wait() error {
	<-o.loaded
	if o.err != nil {
		return fmt.Errorf("owners of sockets: %w", o.err)
	}
	return nil
}

// makeMaps makes the maps that gadgets share with the programs.
func (o *Owners) makeMaps() error {
	all := &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{
		portsMap: {Name: portsMap, Type: ebpf.Hash, KeySize: portKeySize},
		keepMap:  {Name: keepMap, Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1},
	}}
	for _, name := range []string{ownersMap, setsMap, pastMap, begunMap} {
		all.Maps[name] = o.library.maps[name].Copy()
	}
	o.sizes.apply(all)
	o.maps = make(map[string]*ebpf.Map)
	for name, spec := range all.Maps {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			o.closeMaps()
			return fmt.Errorf("map %s: %w", name, err)
		}
		o.maps[name] = m
	}
	return nil
}

func (o *Owners) closeMaps() {
	for _, m := range o.maps {
		m.Close()
	}
}

// attachOne attaches the programs of the first way that works.
func (o *Owners) attachOne(options *Options, ways []way) error {
	img, err := parse("owners", options.metadata)
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range ways {
		err := o.attach(img, &w, options)
		if err == nil {
			if len(errs) > 0 {
				o.log.Warn("gizmo finds the owners of sockets in a less exact way", "lacks", w.lacks, "why", errors.Join(errs...))
			}
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o *Owners) attach(img *image.Image, w *way, options *Options) error {
	params := make(map[string]image.Value)
	if w.param != "" {
		params[w.param] = image.Value{1}
	}
	g, err := gadget.Load(img, &gadget.LoadOptions{
		Sockets: ownMaps{o}, Types: options.Types, Logger: options.Logger, Params: params,
		Constants: map[string]image.Value{
			"cwd_size":     u32(o.sizes.fields.Cwd),
			"exepath_size": u32(o.sizes.fields.Exepath),
		},
	})
	if err != nil {
		return err
	}
	if err := g.Attach(); err != nil {
		return errors.Join(err, g.Close())
	}
	o.gadget = g
	return nil
}

// programsName is the name that these programs carry in the kernel, as those of gadgets do.
const programsName = "gizmo-sockets"

func parse(name string, yaml []byte) (*image.Image, error) {
	data, err := object(name)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.Parse("gadget.yaml", yaml)
	if err != nil {
		return nil, err
	}
	meta.Name = programsName
	return image.Parse(bytes.NewReader(data), meta)
}

func loadLibrary() (*library, error) {
	data, err := object("lookup")
	if err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return newLibrary(spec)
}

func u32(n int) image.Value {
	return binary.LittleEndian.AppendUint32(nil, uint32(n)) // amd64 and arm64
}

// object returns a built program.
func object(name string) ([]byte, error) {
	data, err := objects.ReadFile("objects/" + name + "/program.o")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this program was built without them (make build puts them in)")
	}
	return data, err
}

// ownMaps gives the maps of the programs themselves their sizes.
type ownMaps struct{ owners *Owners }

// Link implements gadget.SocketLinker.
func (m ownMaps) Link(spec *ebpf.CollectionSpec) (gadget.LinkedSockets, error) {
	m.owners.sizes.apply(spec)
	for _, p := range spec.Programs { // the verifier would check what no program calls, too
		if m.owners.sizes.fields.Cwd == 0 {
			empty(p, keepCwd)
		}
		if m.owners.sizes.fields.Exepath == 0 {
			empty(p, keepExepath)
		}
	}
	return gadget.LinkedSockets{Types: m.owners.types, Maps: m.owners.maps}, nil
}

// Link implements gadget.SocketLinker.
func (o *Owners) Link(spec *ebpf.CollectionSpec) (gadget.LinkedSockets, error) {
	plain := false
	for _, p := range spec.Programs {
		plain = o.library.link(p) || plain
	}
	linked := gadget.LinkedSockets{Types: o.types, Maps: make(map[string]*ebpf.Map)}
	for name, m := range o.library.maps {
		if strings.HasPrefix(name, ".") {
			continue
		}
		spec.Maps[name] = m.Copy()
		if shared := o.maps[name]; shared != nil {
			linked.Maps[name] = shared
		}
	}
	linked.Maps[portsMap] = o.maps[portsMap]
	o.sizes.apply(spec)
	if plain {
		return linked, o.fillPorts()
	}
	return linked, nil
}

// fillPorts makes gadget_sockets complete from now on.
func (o *Owners) fillPorts() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ports {
		return nil
	}
	if err := o.maps[keepMap].Put(uint32(0), uint32(1)); err != nil {
		return fmt.Errorf("owners of sockets: keep ports: %w", err)
	}
	o.ports = true
	if !o.started {
		return nil
	}
	return o.findSockets()
}

// Start finds the owners of the sockets that there are. Those of others are noted since Open.
func (o *Owners) Start() error {
	if err := o.wait(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.started {
		return nil
	}
	o.started = true
	return o.findSockets()
}

func (o *Owners) findSockets() error {
	if err := o.gadget.RunIterator("find_sockets"); err != nil {
		return fmt.Errorf("owners of sockets: find the sockets that there are: %w", err)
	}
	return nil
}

// Full returns how often, since Open, a socket got no owner because a map of the kernel was full. A socket may count each time
// that a process uses it.
func (o *Owners) Full() (uint64, error) {
	if err := o.wait(); err != nil {
		return 0, err
	}
	m, _ := o.gadget.Map("full")
	var total uint64
	for i := range m.MaxEntries() {
		var counts []uint64
		if err := m.Lookup(i, &counts); err != nil {
			return 0, fmt.Errorf("owners of sockets: read what did not fit: %w", err)
		}
		for _, n := range counts {
			total += n
		}
	}
	return total, nil
}

// Close takes the programs and their maps out of the kernel.
func (o *Owners) Close() (err error) {
	<-o.loaded
	if o.gadget != nil {
		err = o.gadget.Close()
	}
	o.closeMaps()
	return err
}
