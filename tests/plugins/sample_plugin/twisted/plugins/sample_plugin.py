"""What the sample package offers to twistmail."""

from twistmail_sample import UnwelcomeFactory, WholeStaffSource

staff = WholeStaffSource()
unwelcome = UnwelcomeFactory()
