// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"debug/elf"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/targets"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/usdt"
	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

// usdtHook is for the static probes that authors of programs and libraries put into them.
func usdtHook() *hook {
	return &hook{
		sections: []string{"usdt", "usdt.s"},
		tracefs:  true,
		check: func(p *image.Program) error {
			_, err := targets.ParseProbe(p.Target)
			return inSection(p, err)
		},
		missing: missingUprobes,
		prepare: prepareUprobe,
		attach:  attachOnHost,
		probe: func(l *Loaded, p *image.Program) (*userProbe, error) {
			target, err := targets.ParseProbe(p.Target)
			if err != nil {
				return nil, err
			}
			specs, err := l.usdt()
			if err != nil {
				return nil, err
			}
			name := target.Provider + ":" + target.Name
			return &userProbe{file: target.File, target: name, find: func(f *elffile.File) (*userSites, error) {
				sites, err := specs.sites(f, target)
				if err != nil {
					return nil, fmt.Errorf("USDT probe %s: %w", name, err)
				}
				return sites, nil
			}}, nil
		},
	}
}

// usdtSpecs tells the programs of a gadget where the arguments of static probes are.
type usdtSpecs struct {
	log     *slog.Logger
	cookies bool // the kernel has cookies
	// specs and addresses are libbpf's maps; nil if the programs do not look at arguments.
	specs, addresses *ebpf.Map
	layout           *usdt.Layout

	mu sync.Mutex // guards what follows
	// ids has what is in specs: a description of arguments for each index.
	ids descriptions
	// noted has what is in addresses.
	noted map[uint64]noted
}

// noted is the index of a description, and how many files have a probe with it at the same address.
type noted struct {
	id   uint32
	uses int
}

// usdt returns the gadget's only usdtSpecs.
func (l *Loaded) usdt() (*usdtSpecs, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.probes != nil {
		return l.probes, nil
	}
	specs, err := newUSDTSpecs(l)
	if err != nil {
		return nil, err
	}
	l.probes = specs
	return specs, nil
}

func newUSDTSpecs(l *Loaded) (*usdtSpecs, error) {
	s := &usdtSpecs{
		log:     l.Log,
		cookies: l.Cookies,
		specs:   l.Maps[usdt.SpecMap], addresses: l.Maps[usdt.IPMap],
		noted: make(map[uint64]noted),
	}
	if s.specs == nil || l.ProbeSpecs == nil {
		s.specs = nil
		return s, nil
	}
	s.ids = newDescriptions(s.specs.MaxEntries())
	var err error
	s.layout, err = usdt.LayoutOf(l.ProbeSpecs.Value)
	return s, err
}

// sites finds the sites of a static probe in a file, and describes to the programs where the arguments of each
// are, until the result is released.
func (s *usdtSpecs) sites(f *elffile.File, target *targets.Probe) (*userSites, error) {
	found, err := usdt.Find(f, target.Provider, target.Name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock() // only now: reading the file of a container may take long
	defer s.mu.Unlock()
	var used []described
	sites := &userSites{release: func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.forget(used)
	}}
	told := make(map[string]bool)
	for i := range found {
		site := userSite{offset: found[i].Offset, semaphore: found[i].Semaphore}
		if s.specs != nil {
			description, missing := s.layout.Encode(&found[i].Args)
			s.tellMissing(target, missing, told)
			d, err := s.describe(f, found[i].Address, string(description))
			if err != nil {
				return nil, errors.Join(err, s.forget(used))
			}
			used = append(used, d)
			site.cookie = uint64(d.id)
		}
		sites.all = append(sites.all, site)
	}
	return sites, nil
}

// described is a site that programs know the arguments of.
type described struct {
	id      uint32
	address uint64 // in addresses; 0: it is not there
}

// describe tells programs where the arguments of a site are.
func (s *usdtSpecs) describe(f *elffile.File, address uint64, description string) (d described, err error) {
	if d.id, err = s.id(description); err != nil || s.cookies {
		return d, err
	}
	d.address = address
	if err := s.noteAddress(f, address, d.id); err != nil {
		s.ids.release(d.id)
		return d, err
	}
	return d, nil
}

// forget releases the descriptions of sites that have no probe any more.
func (s *usdtSpecs) forget(used []described) (err error) {
	for _, d := range used {
		s.ids.release(d.id)
		if d.address == 0 {
			continue
		}
		n := s.noted[d.address]
		if n.uses--; n.uses > 0 {
			s.noted[d.address] = n
			continue
		}
		delete(s.noted, d.address)
		if e := s.addresses.Delete(d.address); e != nil {
			err = errors.Join(err, fmt.Errorf("map %s: %w", usdt.IPMap, e))
		}
	}
	return err
}

// tellMissing logs which arguments of a probe programs cannot have, each once for all sites. It is no
// error: most programs read some of a probe's arguments only, and bpf_usdt_arg fails for the others.
func (s *usdtSpecs) tellMissing(target *targets.Probe, missing []error, told map[string]bool) {
	for _, why := range missing {
		if text := why.Error(); !told[text] {
			told[text] = true
			s.log.Debug("programs cannot read an argument of a USDT probe", "probe", target.Provider+":"+target.Name,
				"file", target.File, "why", why)
		}
	}
}

// id returns the index at which the programs find a description of arguments. The caller releases it.
func (s *usdtSpecs) id(description string) (uint32, error) {
	id, isNew, ok := s.ids.take(description)
	if !ok {
		return 0, fmt.Errorf("the probes of this gadget find their arguments in more than %d ways: "+
			"#define a larger BPF_USDT_MAX_SPEC_CNT before <bpf/usdt.bpf.h>", s.specs.MaxEntries())
	}
	if isNew {
		if err := s.specs.Put(id, []byte(description)); err != nil {
			s.ids.drop(id)
			return 0, fmt.Errorf("map %s: %w", usdt.SpecMap, err)
		}
	}
	return id, nil
}

// noteAddress is for kernels without cookies, on which programs look their site up by the address of the
// probe. The address is known in advance only if the file is always loaded at the same address.
func (s *usdtSpecs) noteAddress(f *elffile.File, address uint64, id uint32) error {
	switch {
	case f.Type != elf.ET_EXEC:
		return errors.New("probes with arguments in a library, or in a position-independent program, need Linux 5.15 or newer")
	case s.addresses == nil:
		return fmt.Errorf("the object has no map %s", usdt.IPMap)
	}
	n, known := s.noted[address]
	if known && n.id != id {
		return errors.New("another file has a probe with other arguments at the same address, and telling them apart needs Linux 5.15 or newer")
	}
	if !known {
		if err := s.addresses.Put(address, id); err != nil {
			return fmt.Errorf("map %s: %w", usdt.IPMap, err)
		}
	}
	s.noted[address] = noted{id, n.uses + 1}
	return nil
}
