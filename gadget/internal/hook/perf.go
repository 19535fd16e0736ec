// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/internal/cpus"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// perfEventHook is for samples: programs that run so many times a second on each CPU, or each so many
// events of the CPU or the kernel. The settings are in gadget.yaml.
func perfEventHook() *hook {
	return &hook{
		sections: []string{"perf_event"},
		fixed:    true,
		check: func(p *image.Program) error {
			_, err := samplingOf(p)
			return err
		},
		missing: func(_ *kernel.Kernel, p *image.Program) error {
			events, err := openSampling(p)
			if err != nil {
				return err
			}
			return events.Close()
		},
		attach: func(_ *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
			events, err := openSampling(p)
			if err != nil {
				return nil, err
			}
			if err := events.start(prog); err != nil {
				return nil, errors.Join(err, events.Close())
			}
			return events, nil
		},
	}
}

// sampling is which event to sample and how often.
type sampling struct {
	source    string // the name of an event source, for the kernel to translate; empty: kind
	kind      uint32
	config    uint64
	sample    uint64
	frequency uint64
	name      string // of the event, for people
}

// samplingOf reads the settings of a program.
func samplingOf(p *image.Program) (*sampling, error) {
	s := sampling{frequency: p.Settings.Sampler.Frequency}
	perf := p.Settings.Perf
	fail := func(key string, err error) (*sampling, error) {
		return nil, fmt.Errorf("program %s: section %q: gadget.yaml: programs.%s.%s: %w", p.Name, p.Section, p.SettingsKey, key, err)
	}
	if p.Settings.AttachTo != "" {
		return fail("attach_to", errors.New("a sampling program runs on all CPUs and takes no target; perf says what to sample"))
	}
	if s.frequency == 0 {
		return fail("sampler.frequency", errors.New("say how many times a second the program runs on each CPU"))
	}
	if perf == (metadata.Perf{}) {
		perf = metadata.Perf{Type: "software", Config: "cpu_clock"}
	}
	if err := s.setKind(perf.Type); err != nil {
		return fail("perf.type", err)
	}
	if err := s.setConfig(perf.Config); err != nil {
		return fail("perf.config", err)
	}
	var err error
	if s.sample, err = parseSample(cmp.Or(perf.SampleType, "raw")); err != nil {
		return fail("perf.sampleType", err)
	}
	s.name = perf.Type + " " + perf.Config
	return &s, nil
}

// perfName is a word of the perf_event_open system call.
type perfName struct {
	name  string
	value uint64
}

func perfTypes() []perfName {
	return []perfName{
		{"hardware", unix.PERF_TYPE_HARDWARE},
		{"software", unix.PERF_TYPE_SOFTWARE},
		{"hw_cache", unix.PERF_TYPE_HW_CACHE},
		{"raw", unix.PERF_TYPE_RAW},
	}
}

func hardwareEvents() []perfName {
	return []perfName{
		{"cpu_cycles", unix.PERF_COUNT_HW_CPU_CYCLES},
		{"instructions", unix.PERF_COUNT_HW_INSTRUCTIONS},
		{"cache_references", unix.PERF_COUNT_HW_CACHE_REFERENCES},
		{"cache_misses", unix.PERF_COUNT_HW_CACHE_MISSES},
		{"branch_instructions", unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
		{"branch_misses", unix.PERF_COUNT_HW_BRANCH_MISSES},
		{"bus_cycles", unix.PERF_COUNT_HW_BUS_CYCLES},
		{"stalled_cycles_frontend", unix.PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
		{"stalled_cycles_backend", unix.PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
		{"ref_cpu_cycles", unix.PERF_COUNT_HW_REF_CPU_CYCLES},
	}
}

func softwareEvents() []perfName {
	return []perfName{
		{"cpu_clock", unix.PERF_COUNT_SW_CPU_CLOCK},
		{"task_clock", unix.PERF_COUNT_SW_TASK_CLOCK},
		{"page_faults", unix.PERF_COUNT_SW_PAGE_FAULTS},
		{"context_switches", unix.PERF_COUNT_SW_CONTEXT_SWITCHES},
		{"cpu_migrations", unix.PERF_COUNT_SW_CPU_MIGRATIONS},
		{"page_faults_min", unix.PERF_COUNT_SW_PAGE_FAULTS_MIN},
		{"page_faults_maj", unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ},
		{"alignment_faults", unix.PERF_COUNT_SW_ALIGNMENT_FAULTS},
		{"emulation_faults", unix.PERF_COUNT_SW_EMULATION_FAULTS},
	}
}

func sampleTypes() []perfName {
	return []perfName{
		{"raw", unix.PERF_SAMPLE_RAW},
		{"ip", unix.PERF_SAMPLE_IP},
		{"tid", unix.PERF_SAMPLE_TID},
		{"time", unix.PERF_SAMPLE_TIME},
		{"addr", unix.PERF_SAMPLE_ADDR},
		{"callchain", unix.PERF_SAMPLE_CALLCHAIN},
		{"cpu", unix.PERF_SAMPLE_CPU},
		{"period", unix.PERF_SAMPLE_PERIOD},
	}
}

// parsePerfName parses one of the known words, also in the spelling of the kernel's headers
// (PERF_COUNT_SW_CPU_CLOCK, count_sw_cpu_clock), or a number.
func parsePerfName(text string, known []perfName, prefixes ...string) (uint64, error) {
	word := strings.ReplaceAll(strings.ToLower(text), "-", "_")
	for _, prefix := range prefixes {
		word = strings.TrimPrefix(word, prefix)
	}
	var names []string
	for _, n := range known {
		if n.name == word {
			return n.value, nil
		}
		names = append(names, n.name)
	}
	if n, err := strconv.ParseUint(text, 0, 64); err == nil {
		return n, nil
	}
	hint := nearest.Hint(word, names)
	if hint == "" {
		hint = "; want a number, or one of " + strings.Join(names, ", ")
	}
	return 0, fmt.Errorf("unknown value %q%s", text, hint)
}

func (s *sampling) setKind(text string) error {
	n, err := parsePerfName(text, perfTypes(), "perf_type_", "type_")
	switch {
	case err == nil && n > 1<<32-1:
		return fmt.Errorf("%s is too large", text)
	case err == nil:
		s.kind = uint32(n)
		return nil
	case text == "":
		return errors.New("say which type of event: hardware, software, hw_cache, raw, a number, or an event source in " + kernel.EventSources)
	case text != filepath.Base(text) || !kernel.Exists(filepath.Join(kernel.EventSources, text)):
		return err
	}
	s.source = text
	return nil
}

func (s *sampling) setConfig(text string) (err error) {
	var known []perfName
	switch {
	case s.source != "":
	case s.kind == unix.PERF_TYPE_HARDWARE:
		known = hardwareEvents()
	case s.kind == unix.PERF_TYPE_SOFTWARE:
		known = softwareEvents()
	}
	s.config, err = parsePerfName(text, known, "perf_", "count_", "hw_", "sw_")
	return err
}

// parseSample reads what a sample holds: words with "|" between them.
func parseSample(text string) (sample uint64, err error) {
	for word := range strings.SplitSeq(text, "|") {
		n, err := parsePerfName(strings.TrimSpace(word), sampleTypes(), "perf_", "sample_")
		if err != nil {
			return 0, err
		}
		sample |= n
	}
	return sample, nil
}

// perfEvents are open perf events, one for each CPU. Closing them ends them.
type perfEvents []int

// openSampling opens the events of a program on all CPUs that are online. It skips CPUs that
// go offline meanwhile; CPUs that come online later have no events.
func openSampling(p *image.Program) (perfEvents, error) {
	s, err := samplingOf(p)
	if err != nil {
		return nil, err
	}
	attr, err := s.attr()
	if err != nil {
		return nil, fmt.Errorf("program %s: %s: %w", p.Name, p.Place(), err)
	}
	online, err := cpus.Online()
	if err != nil {
		return nil, fmt.Errorf("list the online CPUs: %w", err)
	}
	events, err := openEvents(online, func(cpu int) (int, error) {
		return unix.PerfEventOpen(attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	})
	if err != nil {
		return nil, s.explain(p, err)
	}
	return events, nil
}

// openEvents opens an event on each of the CPUs, except those that have gone offline.
func openEvents(online []int, open func(cpu int) (int, error)) (perfEvents, error) {
	var events perfEvents
	var gone error
	for _, cpu := range online {
		fd, err := open(cpu)
		if errors.Is(err, unix.ENODEV) {
			gone = err
			continue
		}
		if err != nil {
			_ = events.Close()
			return nil, err
		}
		events = append(events, fd)
	}
	if len(events) == 0 {
		return nil, gone
	}
	return events, nil
}

// attr returns the kernel's description of the events. They do not count before start.
func (s *sampling) attr() (*unix.PerfEventAttr, error) {
	attr := unix.PerfEventAttr{
		Type: s.kind, Config: s.config, Sample: s.frequency, Sample_type: s.sample, Bits: unix.PerfBitFreq | unix.PerfBitDisabled,
		Size: unix.PERF_ATTR_SIZE_VER1,
	}
	if s.source == "" {
		return &attr, nil
	}
	n, err := readNumber(filepath.Join(kernel.EventSources, s.source, "type"))
	if err != nil || n > 1<<32-1 {
		return nil, fmt.Errorf("the event source %s: %w", s.source, cmp.Or(err, errors.New("it has no type")))
	}
	attr.Type = uint32(n)
	return &attr, nil
}

// explain puts into words why the kernel did not open an event.
func (s *sampling) explain(p *image.Program, err error) error {
	why := "open the perf event " + s.name
	most, _ := readNumber("/proc/sys/kernel/perf_event_max_sample_rate")
	switch {
	case errors.Is(err, unix.EINVAL) && most > 0 && s.frequency > most:
		why = fmt.Sprintf("%d times in a second is more than the kernel allows (sysctl kernel.perf_event_max_sample_rate=%d)", s.frequency, most)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV):
		why = fmt.Sprintf("this machine has no event %q (virtual machines often lack the CPU's events; every machine has software cpu_clock)", s.name)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		why = "the kernel forbids perf events (sysctl kernel.perf_event_paranoid)"
	}
	return fmt.Errorf("program %s: %s: %s: %w", p.Name, p.Place(), why, err)
}

// start attaches the program and lets the events count.
func (events perfEvents) start(prog *ebpf.Program) error {
	for _, fd := range events {
		if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, prog.FD()); err != nil {
			return fmt.Errorf("set the program of a perf event: %w", err)
		}
	}
	for _, fd := range events {
		if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
			return fmt.Errorf("start a perf event: %w", err)
		}
	}
	return nil
}

func (events perfEvents) Close() error {
	var errs []error
	for _, fd := range events {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

func readNumber(path string) (uint64, error) {
	text, err := safefile.Read(path, "a number", 4096)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}
