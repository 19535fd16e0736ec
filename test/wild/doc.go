// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package wild has gadgets as other authors write them: a folder of corpus for each way in which a source
// can differ from gizmo's own: a macro, an old spelling, a kind of map, a careless gadget.yaml.
// They were written for this corpus before any of them was built. Some were then changed where no loader could have taken them
// (a hook that kernels do not have, a program that the verifier never accepts), and one for the verifier of Linux 6.1.
//
// The 46 named below were written without a look at gizmo's headers, gadgets and tests, from what is known of how others
// write, as plausible tools. They are as they were but for the line with the license, and for these, which the known
// system's headers, its loader or the verifier would have refused, too:
//
//	faulttop: the event's struct, which has one name before Linux 6.16 and another since; a read at an offset from the context
//	filelife, fsslow: BPF_CORE_READ through a member of the source's own struct, which no kernel has
//	hotfiles: fnv_64a_init is a function
//	pktlog: an annotation with the name of no field
//	tcrate: an atomic operation that needs -mcpu=v3
//	fdclass: a symbol of the kernel declared as const void
//	killwatch: a copy from the context that becomes a read at an offset from it
//
// They are allocstacks, bindwatch, capwatch, connrate, cpusample, disklat, dnspeek, execargs, exitwatch, faulttop,
// fdclass, filelife, fsslow, hotfiles, httpcat, killwatch, lsmwatch, modwatch, mutexhold, nsmount, offcpu, oomwatch,
// pktlog, pstree, ptracewatch, resolvlat, retranswatch, rttsockops, runqslow, seccompadvise, shellline, skpeek, smtphello,
// snicheck, sockdump, softirqlat, sslpeek, sysargs, syscount, taskkin, tcmeter, tcptopf, tcrate, threadbirth, ttylog and
// vfscount.
//
// Each source is built with every compiler that gadgets may be built with, and loaded, here and in the lab (test/vm). One that the
// kernel has the hooks for is run, too, beside a program whose events are known: corpus/NAME/want.json has what one event
// must say, corpus/NAME/args the flags. What the tests expect of a kernel is written down for each source: the hook that it needs
// (hooks), that gizmo refuses it everywhere (refused), why it is not run (notRun). What the
// compilers and gizmo say about a source is in testdata/warnings.golden.
package wild
