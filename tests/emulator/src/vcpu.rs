// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual processor: one context for each VMPL, of which one runs at a time.
//!
//! A context's VMSA is the truth whenever the context doesn't run: its state is taken from the page
//! when the VMPL is entered and put back when another VMPL is run, or when the VMSA is taken away.
//! While a context runs, its VMSA is in use (RMP) and no other processor can enter it.

mod deliver;
mod exits;
mod instructions;
mod registers;
mod translate;

use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;

use snp_abi::Vmpl;
use snp_abi::vmsa::{EFER_SVME, SevFeatures, Vmsa};

use crate::counters::{self, Event, count};
use crate::layout::{MACHINE_END, MACHINE_START, MAX_PROCESSORS, PAGE};
use crate::processor::ticks;
use crate::rmp::{Entry, VmsaRefusal};
use crate::violation::{PAST_EXITS, PastExit, Place, Rule, stop};
use crate::vmcb::Vmcb;
use crate::world::{self, MEMBERS, Member};
use crate::{options, physical, say};

pub(crate) use deliver::{VECTOR_GP, exception};
pub(crate) use registers::Registers;

unsafe extern "C" {
    fn world_switch(vmcb: u64, registers: *mut Registers);
    fn drain_nmi();
    fn wait_for_nmi(flag: *const u32);
}

/// One VMPL of one virtual processor.
pub(crate) struct Context {
    pub(crate) processor: usize,
    pub(crate) vmpl: Vmpl,
    pub(crate) vmcb: Vmcb,
    pub(crate) registers: Registers,
    /// The GHCB MSR.
    pub(crate) ghcb: u64,
    /// The GHCB page that was registered.
    pub(crate) registered_ghcb: Option<u64>,
    /// The VMSA that the state was taken from, while the context is entered.
    vmsa: Option<u64>,
    /// From an NMI's injection to NMI_COMPLETE.
    pub(crate) nmi_masked: bool,
    exits: usize,
    past_exits: [PastExit; PAST_EXITS],
}

/// A virtual processor.
pub(crate) struct Vcpu {
    id: usize,
    current: Vmpl,
    contexts: [Context; 4],
    member: &'static Member,
    left_guest_at: u64,
}

/// What the processor does after an exit was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Goes on with the same VMPL.
    Same,
    /// Runs another VMPL.
    Run(Vmpl),
    /// Stops until AP creation gives this VMPL a VMSA.
    Hold,
}

impl Context {
    fn new(processor: usize, vmpl: Vmpl) -> Self {
        let asid = u32::try_from(1 + processor * 4 + vmpl.index()).unwrap_or(1);
        Self {
            processor,
            vmpl,
            vmcb: Vmcb::new(asid),
            registers: Registers::new(),
            ghcb: 0,
            registered_ghcb: None,
            vmsa: None,
            nmi_masked: false,
            exits: 0,
            past_exits: [PastExit::default(); PAST_EXITS],
        }
    }

    /// With paging off every access is private, and CR0 writes exit, so that the view can follow.
    /// True if the nested root changed.
    pub(crate) fn choose_view(&mut self) -> bool {
        let (paged, unpaged) = world::memory().roots(self.vmpl);
        let off = self.vmcb.is_unpaged();
        let root = if off { unpaged } else { paged };
        let changed = self.vmcb.nested_root() != root;
        self.vmcb.set_nested_root(root, off);
        changed
    }

    /// Takes the state from a VMSA page, which hardware does in VMRUN. AMD 24593, 15.36.16.
    fn enter(&mut self, vmsa: u64) {
        let place = Place::gpa(vmsa, "vmrun");
        // The secure processor keeps the boot processor's launch VMSA: it isn't guest memory.
        if !is_launch_vmsa(vmsa) {
            let taken = world::memory().rmp.take_vmsa(vmsa / PAGE);
            match taken {
                Ok(()) => {}
                Err(VmsaRefusal::NotVmsa) => stop(self, Rule::VmsaNotMarked, place),
                Err(VmsaRefusal::InUse) => stop(self, Rule::VmsaInUse, place),
            }
        }
        let quadword = |offset: usize| physical::read::<u64>(vmsa + offset as u64);
        if quadword(offset_of!(Vmsa, efer)) & EFER_SVME == 0 {
            stop(self, Rule::VmsaSvmeClear, place);
        }
        let vmpl: u8 = physical::read(vmsa + offset_of!(Vmsa, vmpl) as u64);
        if usize::from(vmpl) != self.vmpl.index() {
            stop(self, Rule::VmsaWrongVmpl, place);
        }
        if quadword(offset_of!(Vmsa, sev_features)) != SevFeatures::SNP_ACTIVE.bits() {
            stop(self, Rule::VmsaSevFeatures, place);
        }
        self.vmcb.load_state(vmsa);
        self.registers.load(vmsa);
        self.choose_view();
        self.vmsa = Some(vmsa);
    }

    /// Puts the state back into the VMSA.
    fn leave(&mut self) {
        let Some(vmsa) = self.vmsa.take() else { return };
        self.vmcb.store_state(vmsa);
        self.registers.store(vmsa);
        let quadword = |offset: usize, value: u64| physical::write(vmsa + offset as u64, value);
        // VMGEXIT is reported as such, not as TCG's VMMCALL.
        const VMMCALL: u64 = snp_abi::ghcb::exit::VMMCALL;
        const VMGEXIT: u64 = 0x403;
        let code = match self.vmcb.exit_code() {
            VMMCALL => VMGEXIT,
            code => code,
        };
        quadword(offset_of!(Vmsa, guest_exit_code), code);
        if !is_launch_vmsa(vmsa) {
            world::memory().rmp.release_vmsa(vmsa / PAGE);
        }
    }

    /// The RMP entry of an address, for a report.
    pub(crate) fn memory_entry(&self, gpa: Option<u64>) -> Option<Entry> {
        let gpa = gpa?;
        world::try_memory().map(|memory| memory.rmp.entry(gpa / PAGE))
    }

    pub(crate) fn past_exits_oldest_first(&self) -> impl Iterator<Item = &PastExit> {
        let (newer, older) = self.past_exits.split_at(self.exits % PAST_EXITS);
        older.iter().chain(newer)
    }

    fn record_exit(&mut self) {
        let exit = PastExit {
            code: self.vmcb.exit_code(),
            info_1: self.vmcb.exit_info_1(),
            info_2: self.vmcb.exit_info_2(),
            rip: self.vmcb.rip(),
            ghcb: self.ghcb,
        };
        self.past_exits[self.exits % PAST_EXITS] = exit;
        self.exits = self.exits.wrapping_add(1);
        if options::trace() {
            say!(
                "exit cpu={} vmpl={} code={:#x} info={:#x},{:#x} rip={:#x} ghcb={:#x}",
                self.processor,
                self.vmpl.index(),
                exit.code,
                exit.info_1,
                exit.info_2,
                exit.rip,
                exit.ghcb,
            );
        }
    }
}

fn is_launch_vmsa(vmsa: u64) -> bool {
    (MACHINE_START..MACHINE_END).contains(&vmsa)
}

impl Vcpu {
    pub(crate) fn new(id: usize) -> Self {
        debug_assert!(id < MAX_PROCESSORS);
        Self {
            id,
            current: Vmpl::Vmpl0,
            contexts: Vmpl::ALL.map(|vmpl| Context::new(id, vmpl)),
            member: &MEMBERS[id],
            left_guest_at: ticks(),
        }
    }

    fn context(&mut self) -> &mut Context {
        &mut self.contexts[self.current.index()]
    }

    /// Runs the guest for ever.
    pub(crate) fn run(&mut self) -> ! {
        loop {
            self.follow_vmsa();
            self.offer_nmi();
            self.stay_in_guest();
            match self.handle_exit() {
                Next::Same => {}
                Next::Run(vmpl) => self.switch_to(vmpl),
                Next::Hold => self.hold(),
            }
        }
    }

    /// The VMSA of the current VMPL can be created, replaced and destroyed by AP creation events of
    /// any processor. Without one the processor waits: an SVSM may run a VMPL that has none yet.
    fn follow_vmsa(&mut self) {
        loop {
            // Cleared first: whoever changes the VMSA sets it afterwards.
            self.member.wake.store(0, SeqCst);
            let wanted = self.member.vmsa(self.current);
            let context = self.context();
            if wanted.is_some() && context.vmsa == wanted {
                return;
            }
            context.leave();
            if let Some(vmsa) = wanted {
                context.enter(vmsa);
                return;
            }
            // SAFETY: the flag outlives the call, which only reads it; GIF is clear before and
            // after, and the NMI handler works on this stack without a red zone below it.
            unsafe { wait_for_nmi(self.member.wake.as_ptr()) }
        }
    }

    fn switch_to(&mut self, vmpl: Vmpl) {
        if vmpl == self.current {
            return;
        }
        self.context().leave();
        self.current = vmpl;
    }

    /// The processor gives up the VMSA, whose owner may then delete it, and waits for another.
    fn hold(&mut self) {
        if let Some(vmsa) = self.context().vmsa {
            self.member.give_up_vmsa(self.current, vmsa);
        }
    }

    /// The guest's NMIs are injected at its own level only, and masked until NMI_COMPLETE.
    fn offer_nmi(&mut self) {
        let (id, vmpl, member) = (self.id, self.current, self.member);
        let context = self.context();
        if vmpl != Vmpl::Vmpl0
            && !context.nmi_masked
            && !context.vmcb.has_injection()
            && member.take_guest_nmi()
        {
            context.nmi_masked = true;
            context.vmcb.inject(deliver::NMI_EVENT);
            count(id, vmpl, Event::NmiInjected);
        }
    }

    fn stay_in_guest(&mut self) {
        let (id, vmpl, member) = (self.id, self.current, self.member);
        let machine_ticks_since = self.left_guest_at;
        let context = self.context();
        member.enter_guest();
        let entered_at = ticks();
        if counters::entered(vmpl, entered_at) {
            say!("first entry of VMPL{} at rip {:#x}", vmpl.index(), context.vmcb.rip());
        }
        // SAFETY: VMCB and nested tables are the machine's own and well formed, the registers are
        // laid out as the assembly expects, GIF is clear, and VM_HSAVE_PA holds a page of this
        // processor. What the guest may reach is decided by the nested tables: never the machine's
        // own memory, which has no RMP entry as memory.
        unsafe { world_switch(context.vmcb.address(), ptr::from_mut(&mut context.registers)) }
        let left_at = ticks();
        member.leave_guest();
        count(id, vmpl, Event::Entry);
        counters::stayed(
            id,
            vmpl,
            left_at.wrapping_sub(entered_at),
            entered_at.wrapping_sub(machine_ticks_since),
        );
        self.left_guest_at = left_at;
        let context = self.context();
        context.record_exit();
        context.check_sanity();
    }

    fn handle_exit(&mut self) -> Next {
        let context = self.context();
        let interrupted = context.interrupted_delivery();
        let next = context.handle_exit();
        if let Some(vector) = interrupted {
            let (processor, vmpl) = (context.processor, context.vmpl);
            count(processor, vmpl, Event::Redelivered);
            context.deliver(vector, None, Place { gpa: None, access: "redelivery" });
        }
        next
    }
}

/// Swallows the NMI that brought the processor here: an intercept leaves it pending.
pub(crate) fn swallow_nmi() {
    // SAFETY: the NMI handler is installed, works on this stack and changes no register; GIF is
    // clear again afterwards.
    unsafe { drain_nmi() }
}
